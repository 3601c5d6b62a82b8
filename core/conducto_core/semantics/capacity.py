"""Distribution of a limit on workers so that ``new`` groups never deadlock. No I/O.

A ``new`` group keeps its worker (its *context*) until it ends, and may need more workers meanwhile:
for nodes in it with a ``global`` context, and for ``new`` groups in it. Two groups that each hold
one worker and wait for another would never end. So a context starts only if every started context
can still finish: its pipeline reserves the workers for that (the banker's algorithm). Workers of
shared pools reserve nothing: their commands end by themselves.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from conducto_core.errors import invalid
from conducto_core.model.nodes import NodeSpec, ancestors
from conducto_core.model.states import NodeType
from conducto_core.semantics.pools import PoolKind, kind_of, owner_of


def extras(nodes: Mapping[str, NodeSpec]) -> dict[str, int]:
    """Return ``{group: maximum number of workers that its context needs besides its own}``.

    This is enough to run the nodes below it one after another. A Lazy that has not generated its
    tree counts as one worker, since the tree may have nodes outside the context.

    Args:
        nodes: A resolved tree, parents before their children.
    """
    if not any(kind_of(spec.pool) is PoolKind.CONTEXT for spec in nodes.values()):
        return {}
    found: dict[str, int] = {}
    used: set[str] = set()
    below: dict[str, int] = {}
    for path in reversed(list(nodes)):
        spec = nodes[path]
        if spec.type is NodeType.EXEC:
            used.add(spec.pool)
            need = 0 if kind_of(spec.pool) is PoolKind.CONTEXT else 1
        else:
            need = max(below.pop(path, 0), int(spec.awaits_tree))
            if kind_of(spec.pool) is PoolKind.CONTEXT and owner_of(spec.pool) == path:
                found[path] = need
                need += spec.pool in used  # without an Exec in it, it never has a worker
        parent = next(ancestors(path), None)
        if parent is not None:
            below[parent] = max(below.get(parent, 0), need)
    return found


def claim(contexts: Iterable[int]) -> int:
    """Return the smallest number of workers with which contexts finish, given their `extras`."""
    needs = sorted(contexts)
    return len(needs) + max((need - i for i, need in enumerate(needs)), default=0)


def check_fits(nodes: Mapping[str, NodeSpec], maximum: int, plan: str) -> None:
    """Reject a tree with a ``new`` group that can never have all the workers it needs.

    Raises:
        DefinitionError: names the outermost such group.
    """
    for path, extra in reversed(extras(nodes).items()):
        if 1 + extra > maximum:
            raise invalid(
                path,
                f"container_reuse_context=NEW: the group needs {1 + extra} workers at once, one "
                f"for its own container and {extra} for nodes below it in other containers; "
                f"the plan {plan!r} allows {maximum}. Remove a container_reuse_context, or choose "
                "a larger plan",
            )


@dataclass(frozen=True, slots=True)
class Room:
    """The remaining allowance of an organisation."""

    workers: int
    reserved: int


@dataclass(frozen=True, slots=True)
class Admission:
    """The workers that may start now.

    Attributes:
        missing: Number of workers that would start if the organisation had more free ones.
        withheld: A context waits although a worker is free, because others have reserved it.
    """

    workers: dict[str, int]
    missing: int = 0
    withheld: bool = False

    @property
    def limited(self) -> bool:
        """Whether more would start if the organisation had more free workers."""
        return self.missing > 0


def admit(
    wanted: Mapping[str, int], contexts: Mapping[str, int], started: Iterable[int], room: Room
) -> Admission:
    """Return the part of ``wanted`` that may start: round robin, one worker per pool.

    Args:
        wanted: ``{pool: workers to start}``, in the order of precedence.
        contexts: ``{pool: its extras}`` for the wanted pools that are contexts.
        started: The `extras` of the pipeline's contexts that have a worker.
        room: The remaining allowance.
    """
    held = list(started)
    before = claim(held)
    admitted: dict[str, int] = {}
    refused: set[str] = set()
    free = max(0, room.workers)
    waiting = dict(wanted)
    while waiting and free:
        for pool in list(waiting):
            if not free:
                break
            if pool in contexts:
                if claim([*held, contexts[pool]]) - before > room.reserved:
                    refused.add(pool)
                    del waiting[pool]
                    continue
                held.append(contexts[pool])
            admitted[pool] = admitted.get(pool, 0) + 1
            free -= 1
            waiting[pool] -= 1
            if not waiting[pool]:
                del waiting[pool]
    return Admission(admitted, missing=sum(waiting.values()), withheld=bool(refused))
