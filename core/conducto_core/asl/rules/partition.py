"""A residual tree, cut into parts that each fit into one machine.

Step Functions accepts 1 MB of definition and 25,000 events of history per execution. A larger tree
becomes several machines: neighbours that are too large together are packed into machines of their
own, which the machine of their parent runs.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from conducto_core.asl.rules.states import Residual
from conducto_core.run.model.states import NodeType
from conducto_core.tree.model import NodeSpec


class Size(NamedTuple):
    """The size that a part adds to its machine; upper bounds.

    Attributes:
        tasks: Execs and nested machines.
        size: Bytes of definition.
        events: Events of history, with every retry and every failure.
        height: Levels of groups.
    """

    tasks: int = 0
    size: int = 0
    events: int = 0
    height: int = 0

    def fits(self, maximum: "Size") -> bool:
        """Return whether no number exceeds that of ``maximum``."""
        return all(mine <= limit for mine, limit in zip(self, maximum, strict=True))


NOTHING = Size()
#: Maximum of one machine. AWS: 1,048,576 bytes and 25,000 events; the rest is a safety margin.
MAX_SIZE = Size(tasks=1_500, size=900_000, events=24_000, height=40)
_EXEC = Size(1, 560, 13, 0)
_GENERATE = Size(1, 1_000, 13, 0)
_SUB = Size(1, 900, 26 + 2, 0)
_BLOCKED = Size(0, 200, 2, 0)
_PARALLEL = Size(0, 500, 6, 1)
_SERIAL = Size(0, 300, 2, 1)


@dataclass(slots=True, eq=False)
class Part:
    """A node of the residual tree, or a bundle of children that runs in its own machine.

    Attributes:
        spec: The node; for a bundle, its group.
        children: The remaining children.
        failed: See `Residual`.
        waits: See `Residual`.
        awaited: See `Residual`.
        generates: For a Lazy's Generate: the part that receives its tree.
        generated: A Lazy's target whose Generate still has to run before it.
        stands_in: It replaces a part that runs in another machine.
        machine: ARN of that machine, once it is compiled.
    """

    id: str
    spec: NodeSpec
    children: list["Part"] = field(default_factory=list)
    failed: bool = False
    waits: bool = False
    awaited: tuple[NodeSpec, ...] = ()
    generates: "Part | None" = None
    generated: bool = False
    stands_in: bool = False
    machine: str | None = None
    weight: Size = NOTHING

    @property
    def over(self) -> bool:
        """Whether only a failure is left."""
        return self.failed and not self.awaited


def parts_of(rest: Residual, ids: Callable[[str], str]) -> Part:
    """Return the parts of a residual tree, not yet cut."""
    top = _part(rest, ids)
    stack = [(top, rest)]
    while stack:
        part, left = stack.pop()
        part.children = [_part(child, ids) for child in left.children]
        _pair_lazy(part.children)
        stack.extend(zip(part.children, left.children, strict=True))
    return top


def _part(rest: Residual, ids: Callable[[str], str]) -> Part:
    part = Part(ids(rest.spec.path), rest.spec, failed=rest.failed, awaited=rest.awaited)
    part.waits = rest.waits
    return part


def _pair_lazy(children: list[Part]) -> None:
    """Connect each Generate with its target; the order of the children matters."""
    waiting: dict[str, Part] = {}
    for child in children:
        if child.spec.lazy_target is not None and not child.failed:
            waiting[child.spec.lazy_target] = child
        generate = waiting.get(child.spec.path) if child.spec.awaits_tree else None
        if generate is not None:
            generate.generates, child.generated = child, True


def units_of(children: list[Part]) -> Iterator[list[Part]]:
    """Yield the runs of children that must share a machine: from a Generate to its target."""
    unit: list[Part] = []
    waiting: set[int] = set()
    for child in children:
        unit.append(child)
        waiting.discard(id(child))
        if child.generates is not None:
            waiting.add(id(child.generates))
        if not waiting:
            yield unit
            unit = []


class Slice(NamedTuple):
    """A part that was cut out of a tree.

    Attributes:
        stand_in: The part in its place; the caller sets its `Part.machine`.
        body: The part that gets a machine of its own.
    """

    stand_in: Part
    body: Part


def cut(top: Part, maximum: Size = MAX_SIZE) -> list[Slice]:
    """Cut parts out of ``top``, in place, until all fit.

    Returns:
        The parts that were cut out, nested ones first; none contains the rest of ``top``.
    """
    cuts: list[Slice] = []
    order = [top]
    for part in order:
        order.extend(part.children)
    for part in reversed(order):
        _cut_one(part, maximum, cuts)
    return cuts


def _cut_one(part: Part, maximum: Size, cuts: list[Slice]) -> None:
    for i, child in enumerate(part.children):
        lazy = child.generates is not None or child.generated
        if child.weight.height >= maximum.height and not lazy:
            part.children[i] = _outsource(part, [child], i, cuts)
    part.weight = _weigh(part)
    number = len(part.children)
    while not part.weight.fits(maximum):
        bundles = list(_bundles(part, maximum))
        if len(bundles) == len(part.children) and all(child.stands_in for child in part.children):
            return  # too large because of its awaited Execs; the size is checked again later
        first = number
        number += len(bundles)
        part.children = [
            _outsource(part, bundle, first + i, cuts) for i, bundle in enumerate(bundles)
        ]
        part.weight = _weigh(part)


def _bundles(part: Part, maximum: Size) -> Iterator[list[Part]]:
    """Yield the children in runs of neighbours, each as long as fits into one machine.

    A unit that does not fit by itself is a run of its own; a later check shows whether AWS accepts
    it.
    """
    own = _own(part)
    bundle: list[Part] = []
    weight = NOTHING
    for unit in units_of(part.children):
        more = _sum([child.weight for child in unit])
        if bundle and not _add(own, _sum([weight, more])).fits(maximum):
            yield bundle
            bundle, weight = [], NOTHING
        bundle += unit
        weight = _sum([weight, more])
    yield bundle


def _outsource(part: Part, bundle: list[Part], number: int, cuts: list[Slice]) -> Part:
    """Return a part in place of ``bundle``, which gets a machine."""
    # A bundle passes its failures on: the group above handles them once.
    spec = replace(part.spec, suppress_errors=False, awaits_tree=False)
    name = f"{part.id}_{number}"
    body = bundle[0] if len(bundle) == 1 else Part(name, spec, bundle)
    body.weight = _weigh(body)
    stand_in = Part(name, spec, stands_in=True, weight=_SUB)
    cuts.append(Slice(stand_in, body))
    return stand_in


def _weigh(part: Part) -> Size:
    return _add(_own(part), _sum([child.weight for child in part.children]))


def _own(part: Part) -> Size:
    """Return the weight of a part with its awaited Execs, without its children."""
    if part.stands_in:
        own = _SUB
    elif part.spec.awaits_tree:
        own = _add(_SUB, _BLOCKED)
    elif part.spec.type is NodeType.EXEC:
        own = _EXEC if part.generates is None else _GENERATE
    else:
        own = _SERIAL if part.spec.type is NodeType.SERIAL else _PARALLEL
    awaited = len(part.awaited)
    if not awaited:
        return own
    waits = Size(_EXEC.tasks * awaited, _EXEC.size * awaited, _EXEC.events * awaited)
    return _add(own, _add(waits, _PARALLEL))


def _add(one: Size, other: Size) -> Size:
    return Size(
        one.tasks + other.tasks,
        one.size + other.size,
        one.events + other.events,
        one.height + other.height,
    )


def _sum(weights: list[Size]) -> Size:
    if not weights:
        return NOTHING
    tasks, sizes, events, heights = zip(*weights, strict=True)
    return Size(sum(tasks), sum(sizes), sum(events), max(heights))
