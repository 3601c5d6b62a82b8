"""Pools of Execs that share containers.

The default pool is shared by every Exec with the same `Placement`; ``env`` is not part of it. A
``new`` context gives everything reachable below it one dedicated container, which runs one command
at a time; ``global`` leads back to the default pool. A node is reachable from another if no node
between them sets a context of its own.
"""

from enum import Enum
from functools import lru_cache

from conducto.wire.fields import GLOBAL, NEW

SHARED = "shared"
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
    return None if pool == SHARED else pool.partition(":")[2]
