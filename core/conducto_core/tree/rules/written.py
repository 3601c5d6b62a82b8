"""The values that a node of a launch form has itself, checked; a `ValueError` has no path."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from conducto.wire import approvals, fields, limits, named_limits
from conducto.wire.caching import to_cache
from conducto.wire.conditions import Condition, to_condition
from conducto.wire.expansions import Expansion, to_expansion
from conducto.wire.maps import MapOptions, to_options
from conducto_core.errors import invalid
from conducto_core.limits.rules import merged
from conducto_core.run.model.states import NodeType
from conducto_core.tree.model import (
    Approval,
    Caching,
    NamedLimit,
    NodeSpec,
    SpotUse,
    child_path,
)

ENV_PREFIX: Final = "__env__"
Form = Mapping[str, Any]


def _mem(value: float | str) -> float:
    return fields.DEFAULT_MEM if value == fields.AUTO else float(value)


#: The parameters that are fields of a placement, with their checks.
PLACED: Final[Mapping[str, Callable[[Any], Any]]] = {
    "cpu": lambda value: fields.check_amount("cpu", value),
    "mem": lambda value: _mem(fields.check_mem(value)),
    "gpu": fields.check_gpu,
    "arch": fields.check_arch,
    "spot": lambda value: SpotUse.from_field(fields.check_spot(value)),
    "requires_docker": lambda value: fields.check_flag("requires_docker", value),
    "docker_run_args": lambda value: tuple(fields.check_docker_run_args(value)),
}


def text(written: Form, name: str) -> str | None:
    """Return a text."""
    value = written.get(name)
    return None if value is None else fields.check_text(name, value)


def flag(written: Form, name: str, *, default: bool) -> bool:
    """Return a flag."""
    value = written.get(name)
    return default if value is None else fields.check_flag(name, value)


def tags(written: Form) -> tuple[str, ...]:
    """Return the tags."""
    value = written.get("tags") or ()
    if isinstance(value, str):  # one tag, not one for each letter
        value = (value,)
    return tuple(fields.check_text("tag", tag) for tag in value)


def edited(written: Form, edit: Mapping[str, Any]) -> Form:
    """Return a node with the changes of users; with another command, no driver expands a map."""
    laid_over = {**written, **edit}
    if "command" in edit:
        laid_over.pop("expand", None)
    return {k: v for k, v in laid_over.items() if v is not None or k.startswith(ENV_PREFIX)}


def limits_of(written: Form, above: tuple[NamedLimit, ...]) -> tuple[NamedLimit, ...]:
    """Return the named limits in which a node counts."""
    value = written.get("limits")
    if value is None:
        return above
    own = named_limits.to_limits(value)
    found = merged(above, tuple(NamedLimit(one.name, one.number, one.priority) for one in own))
    if len(found) > named_limits.MAX_LIMITS:
        raise ValueError(f"counts in {len(found)} limits; the maximum is {named_limits.MAX_LIMITS}")
    return found


def caching(written: Form, above: Caching | None) -> Caching | None:
    """Return how a node is cached."""
    value = written.get("cache")
    if value is None:
        return above
    own = to_cache(value)
    if isinstance(own, bool):
        return None
    files = tuple(own.reads), tuple(own.writes), own.inputs == "copy"
    return Caching(own.salt, tuple(own.ignore), own.max_age, own.scope, *files, own.serialize)


def approval(written: Form, kind: NodeType) -> Approval | None:
    """Return the approval that a node asks for."""
    value = written.get("approval")
    if value is None:
        return None
    if kind is not NodeType.EXEC:
        raise ValueError(f"an approval has no children, but this is a {kind.value}")
    if written.get("command"):
        raise ValueError("an approval runs no command; remove the command, or the approval")
    return Approval(*approvals.check_approval(value))


def run_if(written: Form) -> Condition | None:
    """Return the condition of a node."""
    value = written.get("run_if")
    return None if value is None else to_condition(value)


def env(written: Form, above: Mapping[str, str]) -> Mapping[str, str]:
    """Return the environment variables of a node."""
    own = {
        key[len(ENV_PREFIX) :]: value
        for key, value in written.items()
        if key.startswith(ENV_PREFIX)
    }
    if not own:
        return above
    given = {name: value for name, value in own.items() if value is not None}
    fields.check_env(given)
    return {name: value for name, value in {**above, **own}.items() if value is not None}


def max_concurrent(written: Form, *, is_exec: bool) -> int | None:
    """Return the maximum number of running Execs of a group."""
    value = written.get("max_concurrent")
    if value is None:
        return None
    if is_exec:
        raise ValueError("max_concurrent is for a Serial or a Parallel, not for an Exec")
    return fields.check_max_concurrent(value)


def map_options(written: Form, *, is_exec: bool) -> MapOptions | None:
    """Return the options of a map."""
    value = written.get("map")
    if value is None:
        return None
    if is_exec:
        raise ValueError("map is for a group, not for an Exec")
    return to_options(value)


def expansion(written: Form, lazy_target: str | None) -> Expansion | None:
    """Return the expansion of a map that the driver makes in the place of a command, or None."""
    value = written.get("expand")
    return None if value is None or lazy_target is None else to_expansion(value)


def budget(written: Form) -> float | None:
    """Return the budget of a node in dollars."""
    value = written.get("budget")
    return None if value is None else fields.check_amount("budget", value)


def budget_kills(written: Form) -> bool:
    """Return whether a used-up budget stops running commands."""
    value = written.get("budget_action")
    return value is not None and fields.check_budget_action(value) == "kill"


def node_type(written: Form) -> NodeType:
    """Return the type of a node."""
    try:
        return NodeType(str(written.get("type")))
    except ValueError:
        raise ValueError(f"unknown node type {written.get('type')!r}") from None


def check_children(kind: NodeType, path: str, names: tuple[str, ...]) -> None:
    """Check the names of the children of a node."""
    if kind is NodeType.EXEC and names:
        raise ValueError("an Exec cannot have children; use a Serial or a Parallel")
    if len(set(names)) != len(names):
        double = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"two children are called {double!r}")
    for name in names:
        if not name or "/" in name or "\0" in name:
            raise ValueError(f"a child's name may not be empty or hold '/' or NUL, got {name!r}")
        fields.check_text("a child's name", name)
    if names:
        below = child_path(path, "")
        longest = max(map(limits.check_name, names))
        limits.check_place(below.count("/"), limits.size_of(below) + longest)


def is_name(name: object) -> bool:
    """Return whether a value can be a node's name."""
    return isinstance(name, str) and name != "" and "/" not in name and "\0" not in name


def check_count(place: str, form: Form, others: Mapping[str, NodeSpec]) -> None:
    """Reject a tree that makes a pipeline too large; count only if it could."""
    written = form.get("nodes")
    count = len(written) if isinstance(written, (list, tuple)) else 0
    if count + len(others) > limits.MAX_NODES:
        replaced = sum(1 for path in others if path == place or path.startswith(f"{place}/"))
        try:
            limits.check_nodes(count + len(others) - replaced)
        except ValueError as error:
            raise invalid(place, str(error)) from error
