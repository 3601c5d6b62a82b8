"""The origin of a node's parameters.

A resolved node does not record where its values were set. A reader wants to know the node to
change: the highest ancestor from which the value is passed down unchanged. All functions take the
chain of a node: the node, its parent, and so on up to the root.
"""

from collections.abc import Callable, Iterable, Sequence

from conducto.wire import fields
from conducto.wire.conditions import text_of
from conducto_core.images.rules import base_image
from conducto_core.run.model.labels import duration
from conducto_core.run.model.responses import CallbackView, Parameter, Variable
from conducto_core.run.model.states import NodeType
from conducto_core.tree.model import Callback, NodeSpec, SpotUse
from conducto_core.tree.rules.written import ENV_PREFIX

Chain = Sequence[NodeSpec]

_PLACEMENT = (
    ("image", ""),
    ("cpu", fields.DEFAULT_CPU),
    ("mem", fields.DEFAULT_MEM),
    ("gpu", 0),
    ("requires_docker", False),
    ("docker_run_args", ()),
)
#: Keys of edits that differ from the name of the parameter.
_EDIT_NAMES = {"image_name": "image"}


def parameters(  # noqa: C901, PLR0912  a condition for each parameter that is shown only if it is set
    chain: Chain, edited: frozenset[str] = frozenset()
) -> tuple[Parameter, ...]:
    """Return the parameters that apply to a node; ``edited`` were changed after the launch."""
    node = chain[0]
    found = [_placement(chain, name, default) for name, default in _PLACEMENT]
    if node.auto_mem:
        origin = _highest(chain, lambda spec: bool(spec.auto_mem), value=True)
        found.append(Parameter(name="mem_auto", value=node.auto_mem, source=origin.path))
    if node.placement.arch:
        found.append(_placement(chain, "arch", ""))
    if node.placement.spot is not SpotUse.SHARE:
        found.append(_placement(chain, "spot", SpotUse.SHARE))
    if node.placement.machine is not None:
        found.append(_held(chain, "machine", _machine_name, None))
    if node.placement.services:
        found.append(_held(chain, "services", _service_texts, ()))
    if node.placement.buckets:
        found.append(_held(chain, "buckets", _bucket_texts, ()))
    found.append(_max_time(chain))
    found.append(_nearest(chain, "container_reuse_context", lambda spec: spec.reuse_context))
    found.append(_held(chain, "snapshot_on_error", lambda spec: spec.snapshot_on_error, False))
    found.append(_held(chain, "retry_lost", lambda spec: spec.retry_lost, 0))
    if node.retry is not None:
        found.append(_held(chain, "retry", lambda spec: spec.retry and str(spec.retry), None))
    found.append(_own(node, "budget", node.budget, None))
    if node.budget_kills:
        found.append(_own(node, "budget_action", "kill", "finish"))
    found.append(_own(node, "skip", node.skip, False))
    if node.run_if is not None:
        found.append(_own(node, "run_if", text_of(node.run_if), None))
    found.append(_own(node, "suppress_errors", node.suppress_errors, False))
    if node.secrets is not None:
        found.append(_held(chain, "secrets", lambda spec: spec.secrets, None))
    if node.cache is not None or node.cache_off is not None:
        found.append(_held(chain, "cache", _cache_text, None))
    if node.code:
        found.append(_held(chain, "code", lambda spec: spec.code, ()))
    if node.limits:
        numbers = tuple(f"{limit.name}: {limit.number}" for limit in node.limits)
        found.append(_own(node, "limits", numbers, ()))
    if node.results:
        found.append(_own(node, "results", node.results, ()))
    if node.map is not None:
        found.append(_own(node, "min_done", node.map.min_done, 1))
        found.append(_own(node, "missing", node.map.missing, None))
    if node.type is not NodeType.EXEC:
        found.append(_own(node, "max_concurrent", node.max_concurrent, None))
    if node.type is NodeType.SERIAL:
        found.append(_own(node, "stop_on_error", node.stop_on_error, True))
    return tuple(
        one.model_copy(update={"modified": True}) if one.name in edited else one for one in found
    )


def edited_names(keys: Iterable[str]) -> frozenset[str]:
    """Return the names of parameters for the keys of a node's edits."""
    return frozenset(
        "env" if key.startswith(ENV_PREFIX) else _EDIT_NAMES.get(key, key) for key in keys
    )


def variables(chain: Chain) -> tuple[Variable, ...]:
    """Return a node's environment, by name."""
    found = []
    for name, value in sorted(chain[0].env.items()):
        source = _highest(chain, _variable(name), value)
        found.append(Variable(name=name, value=value, source=source.path))
    return tuple(found)


def _variable(name: str) -> Callable[[NodeSpec], object]:
    return lambda spec: spec.env.get(name)


def callbacks(chain: Chain) -> tuple[CallbackView, ...]:
    """Return a node's callbacks, its own first."""
    return tuple(
        CallbackView(
            event=one.event,
            name=one.name,
            arguments=dict(one.arguments),
            source=_writer(chain, one).path,
        )
        for one in chain[0].callbacks
    )


def _writer(chain: Chain, callback: Callback) -> NodeSpec:
    writer = chain[0]
    for above in chain[1:]:
        if callback not in above.handed_down:
            break
        writer = above
    return writer


def _highest(chain: Chain, value_of: Callable[[NodeSpec], object], value: object) -> NodeSpec:
    found = chain[0]
    for above in chain[1:]:
        if value_of(above) != value:
            break
        found = above
    return found


def _held(
    chain: Chain, name: str, value_of: Callable[[NodeSpec], object], default: object
) -> Parameter:
    """Return a parameter that every node inherits unless it has its own value."""
    value = value_of(chain[0])
    source = _highest(chain, value_of, value)
    is_default = source is chain[-1] and value == default
    return Parameter(name=name, value=value, source=None if is_default else source.path)


def _placement(chain: Chain, name: str, default: object) -> Parameter:
    def value_of(spec: NodeSpec) -> object:
        value = getattr(spec.placement, name)
        return base_image(value, spec.placement.arch) if name == "image" else value

    return _held(chain, name, value_of, default)


def _max_time(chain: Chain) -> Parameter:
    """Return ``max_time``: an Exec always has one; a group has its own, which its Execs inherit."""
    node = chain[0]
    if node.type is not NodeType.EXEC:
        return _own(node, "max_time", node.max_time, None)
    above = next((spec for spec in chain[1:] if spec.max_time is not None), None)
    handed_down = fields.DEFAULT_MAX_TIME if above is None else above.max_time
    if node.max_time != handed_down:
        return Parameter(name="max_time", value=node.max_time, source=node.path)
    source = None if above is None else above.path
    return Parameter(name="max_time", value=node.max_time, source=source)


def _machine_name(spec: NodeSpec) -> str | None:
    machine = spec.placement.machine
    return None if machine is None else machine.name


def _service_texts(spec: NodeSpec) -> tuple[str, ...]:
    return tuple(f"{each.name}: {each.image}" for each in spec.placement.services)


def _bucket_texts(spec: NodeSpec) -> tuple[str, ...]:
    return tuple(f"{each.path}: {each.url} ({each.mode})" for each in spec.placement.buckets)


def _cache_text(spec: NodeSpec) -> str | None:
    cache = spec.cache
    if cache is None:
        return None if spec.cache_off is None else f"off: {spec.cache_off}"
    words = [cache.scope]
    words += [f"salt {cache.salt}"] if cache.salt else []
    words += [f"ignores {', '.join(cache.ignore)}"] if cache.ignore else []
    words += [f"for {duration(cache.max_age)}"] if cache.max_age is not None else []
    words += [f"reads {', '.join(cache.reads)}"] if cache.reads else []
    words += ["as copies"] if cache.copies else []
    words += [f"writes {', '.join(cache.writes)}"] if cache.writes else []
    return ", ".join(words)


def _nearest(chain: Chain, name: str, value_of: Callable[[NodeSpec], object]) -> Parameter:
    """Return a parameter that applies from the node that sets it down to the next that sets it."""
    for spec in chain:
        if value_of(spec) is not None:
            return Parameter(name=name, value=value_of(spec), source=spec.path)
    return Parameter(name=name, value=None)


def _own(node: NodeSpec, name: str, value: object, default: object) -> Parameter:
    return Parameter(name=name, value=value, source=None if value == default else node.path)
