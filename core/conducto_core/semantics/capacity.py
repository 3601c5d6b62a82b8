"""How a limit on workers is shared out so that no ``new`` group waits for another for ever. No I/O.

A ``new`` group keeps its worker (its *context*) until it is over, and may need further workers
meanwhile: for what ``global`` leads out of it, and for ``new`` groups inside it. Two groups that
each hold one worker and wait for another one would never end. So a context begins only while it
is certain that every one that has begun can finish: its pipeline reserves what that takes (the
banker's algorithm). Workers of shared pools reserve nothing: their commands end by themselves.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from conducto_core.errors import DefinitionError
from conducto_core.model.nodes import NodeSpec, ancestors
from conducto_core.model.states import NodeType
from conducto_core.semantics.pools import PoolKind, kind_of, owner_of


def extras(nodes: Mapping[str, NodeSpec]) -> dict[str, int]:
    """Return ``{group: workers that its context needs at most besides its own}``.

    Enough for what is below it one after the other. A Lazy that has not generated its tree counts
    as one worker, since the tree may lead out of the context.

    Args:
        nodes: A resolved tree, parents before their children.
    """
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
    """Return the smallest number of workers with which contexts can finish, in the best order.

    Args:
        contexts: The `extras` of each.
    """
    needs = sorted(contexts)
    return len(needs) + max((need - i for i, need in enumerate(needs)), default=0)


def check_fits(nodes: Mapping[str, NodeSpec], most: int, plan: str) -> None:
    """Refuse a tree with a ``new`` group that can never have all the workers it needs.

    Args:
        nodes: A resolved tree, parents before their children.
        most: Workers at once.
        plan: Name of the plan that says so.

    Raises:
        DefinitionError: the outermost such group.
    """
    for path, extra in reversed(extras(nodes).items()):
        if 1 + extra > most:
            raise DefinitionError(
                path,
                f"container_reuse_context=NEW: the group needs {1 + extra} workers at once, one "
                f"for its own container and {extra} for what runs below it in other containers; "
                f"the plan {plan!r} allows {most}. Take out a container_reuse_context, or choose "
                "a larger plan",
            )


@dataclass(frozen=True, slots=True)
class Room:
    """What an organisation may still start.

    Attributes:
        workers: Workers.
        reserved: Workers that contexts may still reserve.
    """

    workers: int
    reserved: int


@dataclass(frozen=True, slots=True)
class Admission:
    """What may start now.

    Attributes:
        workers: ``{pool: workers to start}``.
        limited: More would start if the organisation had more workers free.
        withheld: A context waits although a worker is free: others have reserved that.
    """

    workers: dict[str, int]
    limited: bool = False
    withheld: bool = False


def admit(
    wanted: Mapping[str, int], contexts: Mapping[str, int], begun: Iterable[int], room: Room
) -> Admission:
    """Return what of ``wanted`` may start, fairly: pool by pool, one worker each.

    Args:
        wanted: ``{pool: workers to start}``, in the order in which they are to get some.
        contexts: ``{pool: its extras}`` of the wanted pools that are contexts.
        begun: The `extras` of the pipeline's contexts that have a worker.
        room: What is left.
    """
    held = list(begun)
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
    return Admission(admitted, limited=bool(waiting), withheld=bool(refused))
