"""The callbacks of a node, checked, and split by the nodes they apply to."""

from collections.abc import Iterator, Mapping
from enum import Enum
from functools import lru_cache
from typing import Any, Final

from conducto.wire.fields import GLOBAL, NEW
from conducto_core.run.rules.outcomes import RETRIES
from conducto_core.tree.model import Callback, child_path

#: Sets the target of a Lazy. It is not a callback here but a field, ``lazy_target``.
LAZY_CALLBACK: Final = "deserialize_into_node"
_EVENTS = {"worker_error": "killed"}
_COUNTS = {
    "retry": "max_num_retries",
    "retry_then_skip": "max_num_retries",
    "retry_with_double_mem": "max_num_retries",
    "skip_some_errors": "max_num_errors",
}
_NOT_ARGUMENTS = frozenset({"inherited", "user_display"})

Written = Mapping[str, Any]


def own_callbacks(written: Written) -> tuple[Callback, ...]:
    """Return a node's own callbacks.

    Raises:
        ValueError: a callback is not ``[event, [name, arguments]]``, or an argument that it needs
            is missing or invalid.
    """
    return tuple(
        Callback(
            _EVENTS.get(event, event),
            name,
            {k: v for k, v in arguments.items() if k not in _NOT_ARGUMENTS},
            bool(arguments.get("inherited")),
        )
        for event, name, arguments in _read(written)
        if name != LAZY_CALLBACK
    )


def handed_down(own: tuple[Callback, ...]) -> tuple[Callback, ...]:
    """Return a node's own callbacks that all nodes below it inherit."""
    return tuple(c for c in own if c.inherited)


def about_group(own: tuple[Callback, ...]) -> tuple[Callback, ...]:
    """Return a group's own callbacks that apply to the group itself.

    An inherited callback that retries applies to the Execs below.
    """
    return tuple(c for c in own if not (c.inherited and c.name in RETRIES))


def telling(callbacks: tuple[Callback, ...]) -> tuple[Callback, ...]:
    """Return the callbacks that a group inherits.

    Only Execs inherit a callback that retries: on every group of the path, it would multiply.
    """
    return tuple(c for c in callbacks if c.name not in RETRIES)


def lazy_target(written: Written, path: str) -> str | None:
    """Return the path of the node that receives the tree printed by this Exec, or None."""
    for event, name, arguments in _read(written):
        if name == LAZY_CALLBACK and event == "done":
            target = str(arguments.get("target"))
            return child_path(path.rpartition("/")[0] or "/", target.rpartition("/")[2])
    return None


def _read(written: Written) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    for one in written.get("callbacks") or ():
        try:
            event, (name, arguments, *_) = one
        except (TypeError, ValueError):
            event = name = arguments = None
        texts = isinstance(event, str) and isinstance(name, str)
        if not texts or not isinstance(arguments, Mapping):
            raise ValueError(
                f"a callback must be [event, [name, {{argument: value}}]], got {one!r}"
            )
        if name in RETRIES:
            _check(name, arguments)
        yield event, name, arguments


def _check(name: str, arguments: Mapping[str, Any]) -> None:
    if name in _COUNTS:
        count = arguments.get(_COUNTS[name])
        if isinstance(count, bool) or not isinstance(count, int) or count < 0:
            raise ValueError(
                f"callback {name}: {_COUNTS[name]} must be a whole number from 0 up, got {count!r}"
            )
        return
    limits = arguments.get("mem_limits", ())
    longest = arguments.get("max_duration", 1)
    if not isinstance(limits, (list, tuple)) or not all(map(_is_positive, limits)):
        raise ValueError(f"callback {name}: mem_limits must be numbers above 0, got {limits!r}")
    if not _is_positive(longest):
        raise ValueError(f"callback {name}: max_duration must be above 0, got {longest!r}")


def _is_positive(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value > 0


# ----------------------------------------------------------------------------------------
# Pools of Execs that share containers.
#
# The default pool is shared by every Exec with the same `Placement`; ``env`` is not part of it. A
# ``new`` context gives everything reachable below it one dedicated container, which runs one
# command at a time; ``global`` leads back to the default pool. A node is reachable from another if
# no node between them sets a context of its own.


SHARED = "shared"
#: The pool of cached Execs, whose containers have no data.
CACHED = "cached"
#: The pool of cached Execs with files, whose containers have only these.
CACHED_FILES = "cached-files"
_CONTEXT = "context:"
_ONCE = "once:"


class PoolKind(Enum):
    """The kinds of pools.

    ``MANY``: any number of containers, each for one command after another. ``CONTEXT``: exactly one
    container, which keeps its state while its group lasts. ``ONCE``: a fresh container for every
    attempt.
    """

    MANY = "many"
    CONTEXT = "context"
    ONCE = "once"


def pool_below(path: str, reuse_context: str | None, above: str) -> str:
    """Return the pool of a group's children; its parent has the pool ``above``."""
    if reuse_context == NEW:
        return _CONTEXT + path
    return SHARED if reuse_context == GLOBAL else above


def pool_of_exec(path: str, reuse_context: str | None, around: str) -> str:
    """Return the pool of an Exec; ``new`` on the Exec itself isolates it."""
    if reuse_context == NEW:
        return _ONCE + path
    return SHARED if reuse_context == GLOBAL else around


@lru_cache(maxsize=1024)
def kind_of(pool: str) -> PoolKind:
    """Return the kind of ``pool``."""
    if pool.startswith(_CONTEXT):
        return PoolKind.CONTEXT
    return PoolKind.ONCE if pool.startswith(_ONCE) else PoolKind.MANY


def owner_of(pool: str) -> str | None:
    """Return the path of the node that owns a dedicated pool; None for the default one."""
    return None if pool in {SHARED, CACHED, CACHED_FILES} else pool.partition(":")[2]
