"""The lineage of files: the attempts that wrote them, and the nodes whose files have changed."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from conducto_core.cache.files import FileUse, names_file
from conducto_core.cache.model import FileOrigin, Lineage, NodeFiles
from conducto_core.cache.rules import files_of
from conducto_core.errors import NotFoundError
from conducto_core.programs.rules.fingerprints import changed_names
from conducto_core.run.model.records import AttemptRecord, CacheSource, PipelineRecord
from conducto_core.run.model.states import State
from conducto_core.run.rules.live_nodes import LiveExec
from conducto_core.run.rules.tree_state import TreeState
from conducto_core.tree.model import is_within

#: Maximum number of names in a row.
MAX_NAMES = 5
#: Maximum number of steps from a file to its sources.
_MAX_DEPTH = 30


@dataclass(frozen=True, slots=True)
class AttemptFiles:
    """The files of the newest successful attempt of a node.

    Attributes:
        ended: When it ended, in seconds since the epoch.
        source: The attempt whose outcome it got from the cache, or None.
        use: The files that it saw and wrote.
        now: Marks of the files that it would see now.
    """

    path: str
    attempt: int
    ended: float
    source: CacheSource | None
    use: FileUse
    now: Mapping[str, str]


def files_of_attempts(
    tree: TreeState,
    record: PipelineRecord,
    attempts: Callable[[], Iterable[AttemptRecord]],
    use: Callable[[AttemptRecord], FileUse],
    now: Callable[[Collection[str]], Mapping[str, str]],
) -> list[AttemptFiles]:
    """Return the files of the newest successful attempts of commands with files.

    Args:
        tree: Their tree.
        record: Its pipeline.
        attempts: Returns all attempts; it is not called if no command has files.
        use: Returns the files that an attempt saw and wrote.
        now: Returns the marks of the files that patterns name.
    """
    caches = {
        node.path: cache
        for node in tree.subtree(tree.root)
        if isinstance(node, LiveExec) and (cache := files_of(node.spec, record))
    }
    if not caches:  # a large tree has many attempts
        return []
    newest = {
        each.path: each for each in attempts() if each.path in caches and each.state is State.DONE
    }
    found = [(newest[path], cache) for path, cache in caches.items() if path in newest]
    marks = now({pattern for _, cache in found for pattern in cache.reads})
    return [
        AttemptFiles(
            each.path,
            each.number,
            each.ended or 0.0,
            each.from_cache,
            use(each),
            {name: mark for name, mark in marks.items() if names_file(cache.reads, name)},
        )
        for each, cache in found
    ]


def stale_files(each: AttemptFiles) -> list[str]:
    """Return the names of the files that have changed since an attempt saw them."""
    return [name for name in changed_names(each.use.read, each.now) if name not in each.use.wrote]


def stale_paths(attempts: Sequence[AttemptFiles], tops: Sequence[str]) -> tuple[str, ...]:
    """Return the stale nodes below some, all of the tree if none are given."""
    return tuple(
        each.path
        for each in attempts
        if any(is_within(each.path, top) for top in tops or ("/",)) and stale_files(each)
    )


def lineage_of(attempts: Sequence[AttemptFiles], name: str | None) -> Lineage:
    """Return the files of nodes, and the origin of a file or directory.

    Raises:
        NotFoundError: no attempt wrote or saw it.
    """
    nodes = tuple(_node(each) for each in attempts)
    if name is None:
        return Lineage(nodes=nodes)
    writers = _writers(attempts)
    patterns = [name, f"{name.rstrip('/')}/"]
    known = {*writers, *(each for attempt in attempts for each in attempt.use.read)}
    found = sorted(each for each in known if names_file(patterns, each))
    if not found:
        raise NotFoundError(f"no command with reads= or writes= saw or wrote {name}")
    return Lineage(nodes=nodes, origins=tuple(_origins(found, writers, (), 0)))


def _node(each: AttemptFiles) -> NodeFiles:
    stale = stale_files(each)
    return NodeFiles(
        path=each.path,
        attempt=each.attempt,
        source=each.source,
        reads=len(each.use.read),
        writes=len(each.use.wrote),
        stale=tuple(stale[:MAX_NAMES]),
        stale_count=len(stale),
    )


def _writers(attempts: Sequence[AttemptFiles]) -> dict[str, AttemptFiles]:
    """Return the attempt that wrote each file last."""
    ordered = sorted(attempts, key=lambda each: each.ended)
    return {name: each for each in ordered for name in each.use.wrote}


def _origins(
    names: Sequence[str],
    writers: Mapping[str, AttemptFiles],
    above: tuple[AttemptFiles, ...],
    depth: int,
) -> Iterator[FileOrigin]:
    groups: dict[str, tuple[AttemptFiles | None, list[str]]] = {}
    for name in names:
        writer = writers.get(name)
        if writer is not None and writer in above:  # it changed its own input
            writer = None
        key = "" if writer is None else writer.path
        groups.setdefault(key, (writer, []))[1].append(name)
    for writer, group in groups.values():
        yield FileOrigin(
            depth=depth,
            names=tuple(group[:MAX_NAMES]),
            count=len(group),
            path=None if writer is None else writer.path,
            attempt=None if writer is None else writer.attempt,
            source=None if writer is None else writer.source,
        )
        if writer is not None and depth < _MAX_DEPTH:
            yield from _origins(sorted(writer.use.read), writers, (*above, writer), depth + 1)
