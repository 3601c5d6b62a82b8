"""Node parameters: their names, and the conversion of their values."""

# ruff: noqa: PLC0415
# imports wait until they are needed.

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, Iterable, List, Mapping, Optional, TypeVar, Union

    from typing_extensions import Unpack

    from conducto.tree.node_params import ExecParams
    from conducto.wire.buckets import Bucket
    from conducto.wire.caching import Cache
    from conducto.wire.named_limits import Limit
    from conducto.wire.retries import Retry
    from conducto.wire.services import Service

    Method = TypeVar("Method", bound=Callable[..., Any])
    Tags = Union[str, Iterable[str], None]
    DockerRunArgs = Union[str, Iterable[str], None]
    Limits = Union[Limit, Iterable[Limit], None]
    Caches = Union[Cache, Mapping[str, Any], bool, None]
    BucketsGiven = Optional[Mapping[str, Union[Bucket, Mapping[str, Any], None]]]
    ServicesGiven = Optional[Mapping[str, Union[Service, Mapping[str, Any], None]]]
    Retries = Union[Retry, Mapping[str, Any], None]

# The original's user_set: in the records, and moved up by `conducto.tree.launch_form`.
USER_SET = ("skip", "cpu", "gpu", "mem", "requires_docker", "docker_run_args", "image_name")
INHERITED_DEFAULTS = {
    "cpu": 1,
    "mem": 2,
    "gpu": 0,
    "requires_docker": False,
    "snapshot_on_error": False,
    "retry_lost": 0,
    "isolate": False,
    "launch": False,
    "max_time": "4h",
}
SETTABLE = [
    "env",
    "skip",
    "run_if",
    "cpu",
    "gpu",
    "mem",
    "arch",
    "spot",
    "machine",
    "requires_docker",
    "services",
    "buckets",
    "suppress_errors",
    "snapshot_on_error",
    "budget",
    "budget_action",
    "retry",
    "retry_lost",
    "isolate",
    "launch",
    "junit",
    "coverage",
    "max_time",
    "max_concurrent",
    "limits",
    "secrets",
    "cache",
    "code",
    "container_reuse_context",
    "image",
    "image_name",
    "docker_run_args",
    "doc",
    "title",
    "tags",
    "callback_data",
    "pipeline_reservation",
]
#: Attributes of nodes with another name than their parameter: `launch` is a method.
ATTRIBUTES = {"launch": "may_launch"}
LONELY = (
    "max_concurrent={!r} cannot be set on an Exec, which is a single command; "
    "set it on the Serial or Parallel around it"
)
NAMES = frozenset(["name", "same_container", "file", "line", "stop_on_error", "results", *SETTABLE])


class ContainerReuseContext:
    """The container of a node's Execs.

    Attributes:
        NEW: One container for the node and its descendants, which runs one command at a time.
        GLOBAL: Back to the shared containers, below a node with NEW.
    """

    NEW = "new"
    GLOBAL = "global"


class SameContainer:
    """The older name of `ContainerReuseContext`."""

    NEW = ContainerReuseContext.NEW
    ESCAPE = ContainerReuseContext.GLOBAL
    INHERIT = None


class _SettableMethod:
    """A method whose name is a parameter, too: assigning to it sets the parameter."""

    def __init__(self, method: Callable[..., Any], attribute: str) -> None:
        self.__doc__ = method.__doc__
        self._method = method
        self._attribute = attribute

    def __get__(self, node: object, kind: Optional[type] = None) -> Any:
        return self._method if node is None else self._method.__get__(node, kind)

    def __set__(self, node: object, value: object) -> None:
        setattr(node, self._attribute, value)


def also_settable(attribute: str) -> Callable[[Method], Method]:
    """Return a decorator of a method with the name of the parameter that ``attribute`` holds."""
    return lambda method: _SettableMethod(method, attribute)  # type: ignore[return-value]


def Params(**params: Unpack[ExecParams]) -> ExecParams:  # noqa: N802 (as above)
    """Return the node parameters for ``Exec(function, ..., params=co.Params(cpu=2))``."""
    return params


def unknown(names: Iterable[str]) -> TypeError:
    """Return the error for keyword arguments that no node has."""
    from conducto.wire.printable import suggestion

    first = min(names)
    hint = suggestion(first, NAMES)
    if first == "stop_on_error":
        hint = "; only a Serial has it"
    if first in ("reads", "writes"):
        hint = f"; files belong to the cache: cache=co.Cache({first}=['raw/'])"
    return TypeError(f"Node.__init__() got an unexpected keyword argument {first!r}{hint}")


def to_tags(value: Tags) -> Optional[List[str]]:
    """Return tags as a list; a text is one tag.

    Raises:
        TypeError: neither a text nor a list, tuple or set of texts.
    """
    if value is None:
        return None
    if isinstance(value, str):
        return [value]
    if not isinstance(value, (list, tuple, set, frozenset)):
        raise TypeError(f"Cannot convert {value!r} to list of strings.")
    for tag in value:
        if not isinstance(tag, str):
            raise TypeError(f"Expected list of strings, but got {tag!r}")
    ordered = value if isinstance(value, (list, tuple)) else sorted(value)
    return list(ordered)


def to_docker_run_args(value: DockerRunArgs) -> Optional[List[str]]:
    """Return arguments for the engine as a list; a text is split as a shell would.

    Raises:
        ValueError: neither text nor a list of texts, or an argument that Conducto itself sets.
    """
    if value is None:
        return None
    from conducto.wire.fields import forbidden_docker_arg

    if isinstance(value, str):
        import shlex

        args = shlex.split(value)
    elif isinstance(value, (list, tuple)) and all(isinstance(item, str) for item in value):
        args = list(value)
    else:
        raise ValueError(f"Invalid value for docker_run_args, str or List[str] required: {value!r}")
    refusal = forbidden_docker_arg(args)
    if refusal is not None:
        raise ValueError(f"Invalid value for docker_run_args, {refusal}")
    return args


def reuse_context(new: Optional[str], old: Optional[str]) -> Optional[str]:
    """Return the value of ``container_reuse_context``, given by its current or its older name.

    Raises:
        ValueError: both were given.
    """
    if old is None:
        return new
    if new is not None:
        raise ValueError(
            "same_container is deprecated in favor of container_reuse_context, "
            "please don't use both."
        )
    return old


def merge(direct: Dict[str, Any], params: Optional[Mapping[str, object]]) -> Dict[str, Any]:
    """Return node parameters given as keywords and as ``params=`` in one dict.

    Raises:
        ValueError: a parameter was given both ways.
        TypeError: ``params`` is not a dict.
    """
    if params is None:
        return direct
    if not isinstance(params, dict):
        raise TypeError(f"params must be a dict of node parameters, got {params!r}")
    twice = sorted(set(direct) & set(params))
    if twice:
        raise ValueError(
            "The following Conducto parameters were specified twice: {}".format(", ".join(twice))
        )
    return {**direct, **params}


def to_set(node_type: type, params: Dict[str, Any]) -> Dict[str, Any]:
    """Return the parameters to set on a node of ``node_type``; None leaves a parameter unchanged.

    Raises:
        TypeError: a node of that kind has no such parameter.
    """
    known = {*SETTABLE, "same_container"}
    known.update(name for name in ("stop_on_error", "command") if hasattr(node_type, name))
    for name in params:
        if name not in known:
            from conducto.wire.printable import suggestion

            raise TypeError(
                f"set() got an unexpected keyword argument {name!r}{suggestion(name, known)}"
            )
    chosen = {name: value for name, value in params.items() if value is not None}
    context = reuse_context(
        chosen.get("container_reuse_context"), chosen.pop("same_container", None)
    )
    return chosen if context is None else {**chosen, "container_reuse_context": context}
