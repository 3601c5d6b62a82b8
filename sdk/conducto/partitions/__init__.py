"""Partitions of a program: the parameter ``partition`` of its functions, and backfills.

``co.main(partitions=co.daily("2024-01-01"))`` launches a function for one partition, which
``--partition`` names, or for many of them in one pipeline, a backfill.
"""

# ruff: noqa: PLC0415, SLF001
# imports wait until they are needed; the modules of the tree share its nodes' slots.

from __future__ import annotations

import datetime as dt
import json

from conducto.errors import UsageError
from conducto.inspection.codecs.base import CodecError
from conducto.wire.partitions import Partition, slices

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, Iterator, List, Optional, Sequence, Tuple

    from conducto.inspection.signatures import Parameter
    from conducto.script.arguments import MethodCall
    from conducto.script.flags import Flags
    from conducto.tree.nodes import Node
    from conducto.wire.partitions import PartitionSet

    Method = Callable[..., Node]

PARAMETER = "partition"
#: Maximum nodes of a backfill that the launch makes; a larger one makes its trees while it runs.
MAX_AT_ONCE = 5_000
#: Nodes of the trees that one command of a larger backfill makes, about.
_OF_SLICE = 1_000


def now() -> dt.datetime:
    """Return the present."""
    return dt.datetime.now(dt.UTC)


def bind(known: PartitionSet, call: MethodCall, flags: Optional[Flags]) -> Optional[str]:
    """Set the parameter ``partition`` of a call; return the key, None for a backfill.

    Without a value it is the newest partition. A backfill gets its first one, for which it makes a
    tree to learn its size.

    Raises:
        UsageError: there is no such partition.
    """
    parameter = call.parameters.get(PARAMETER)
    backfill = flags if flags is not None and flags.get("backfill") is not None else None
    if parameter is None:
        if backfill is not None:
            raise UsageError(
                f"--backfill needs a parameter for the partition; write: def {call.function}("
                f"{PARAMETER}: co.Partition) -> co.Serial"
            )
        return None
    given = call.named.get(PARAMETER)
    try:
        if backfill is not None:
            if given is not None:
                raise UsageError("--partition is one, --backfill are many; leave one of them out")
            keys = in_range(known, backfill)
            call.named[PARAMETER] = value_of(parameter, known.partition(keys[0], now()))
            return None
        key = known.newest(now()) if given is None else str(given)
        if key is None:
            raise UsageError(f"--partition is missing{_examples(known)}")
        call.named[PARAMETER] = value_of(parameter, known.partition(key, now()))
    except ValueError as error:
        raise UsageError(f"parameter {PARAMETER!r}: {error}") from error
    return key


def _examples(known: PartitionSet) -> str:
    keys = known.keys(now())
    if not keys:
        return "; none has ended yet"
    return f"; the partitions are {', '.join(keys[:5])}{', …' if len(keys) > 5 else ''}"  # noqa: PLR2004


def chosen(known: PartitionSet, flags: Flags, function: str, only: Optional[str]) -> List[str]:
    """Return the keys of a backfill: those of its range that are in a state, if one is given."""
    keys = in_range(known, flags)
    if only is None:
        return keys
    from conducto import _host

    mode = flags.mode() or "local"
    states = _host.partition_states(mode, flags.get("profile"), function)
    return [key for key in keys if states.get(key, "missing") == only]


def in_range(known: PartitionSet, flags: Flags) -> List[str]:
    """Return the keys that ``--backfill FROM..TO`` names.

    Raises:
        UsageError: there are none.
    """
    text = flags.get("backfill")
    first, dots, last = text.partition("..")
    if not dots:
        last = first
    try:
        keys = known.between(first or None, last or None, now())
    except ValueError as error:
        raise UsageError(f"--backfill {text}: {error}") from error
    if not keys:
        raise UsageError(f"--backfill {text}: there are no partitions yet; one exists once it ends")
    return keys


def value_of(parameter: Parameter, partition: Partition) -> Any:
    """Return a partition as the value of a parameter: itself, its text, or what its type reads."""
    codec = parameter.codec
    if codec.base is Partition:
        return partition
    try:
        return codec.decode(str(partition))
    except CodecError as error:
        raise UsageError(
            f"parameter {parameter.name!r}: {error}; annotate it: {parameter.name}: co.Partition"
        ) from error


class Backfill:
    """One pipeline with a child for each of many partitions.

    Args:
        make: Returns the tree of a call of the function.
        method: The function.
        call: Its other arguments, and its first partition.
        known: The partitions of the program.
        keys: Those of the backfill.
        max_concurrent: Maximum number of its commands at once.
    """

    def __init__(
        self,
        method: Method,
        call: MethodCall,
        known: PartitionSet,
        keys: Sequence[str],
        *,
        make: Callable[[Method, MethodCall], Node],
        max_concurrent: int,
    ) -> None:
        self._make, self._method, self._call = make, method, call
        self._known, self._keys = known, keys
        self._parameter = call.parameters[PARAMETER]
        self._named: Dict[str, Any] = dict(call.named)
        self._max_concurrent = max_concurrent
        self._commands = 0

    def summary(self) -> str:
        """Return the size of the backfill in words."""
        from conducto.tree.text import count

        number, first, last = len(self._keys), self._keys[0], self._keys[-1]
        return (
            f"backfill of {count(number, 'partition')}, {first} to {last}: "
            f"{count(number * self._commands, 'command')}, at most {self._max_concurrent} at once"
        )

    def tree(self, *, whole: bool = False) -> Node:
        """Return its tree; a large one makes the trees of its partitions while it runs.

        ``whole``: Make all of them now, for a plan.
        """
        from conducto.tree.nodes import Parallel

        first = self._tree_of(self._keys[0])
        size = sum(1 for _ in first.stream())
        self._commands = sum(1 for node in first.stream() if not node.children)
        root = Parallel(max_concurrent=self._max_concurrent)
        if whole or size * len(self._keys) <= MAX_AT_ONCE:
            for key, node in self._trees(first):
                root._attach(key, node)
            return root
        own = first._own_image_name()
        if own is not None:
            root.image = first.image
        for part in slices(self._keys, max(1, _OF_SLICE // size)):
            root._attach(f"{part[0]}..{part[-1]}", self._lazy(part))
        return root

    def _trees(self, first: Node) -> Iterator[Tuple[str, Node]]:
        yield self._keys[0], first
        for key in self._keys[1:]:
            yield key, self._tree_of(key)

    def _tree_of(self, key: str) -> Node:
        call = self._call.copy()
        call.named = dict(self._named)
        call.named[PARAMETER] = value_of(self._parameter, self._known.partition(key, now()))
        return self._make(self._method, call)

    def _lazy(self, keys: Sequence[str]) -> Node:
        from conducto import callback
        from conducto.tree.native import command_words, problem_of, words_of
        from conducto.tree.nodes import Exec, Parallel, Serial

        named = {name: value for name, value in self._named.items() if name != PARAMETER}
        zone = self._known.partition(keys[0], now()).zone
        document = {"keys": " ".join(keys), "zone": zone, "words": words_of(self._method, named)}
        group = Serial()
        generate = Exec(command_words("partition-items", self._method, json.dumps(document)))
        generate._unfindable = problem_of(self._method)
        group._attach("Generate", generate)
        group._attach("Execute", Parallel())
        generate.on_done(callback.deserialize_into_node(target=group["Execute"]))
        return group
