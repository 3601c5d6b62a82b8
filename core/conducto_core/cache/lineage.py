"""The lineage of files: the attempts that wrote them, and the nodes whose inputs have changed."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from conducto_core.cache.files import FileUse, names_file
from conducto_core.cache.model import CacheSavings, FileOrigin, Lineage, NodeFiles
from conducto_core.cache.rules import caches_items, files_of, switched_off
from conducto_core.errors import NotFoundError
from conducto_core.programs.rules.fingerprints import changed_names, newer_results
from conducto_core.results.rules import (
    MissingResultError,
    Read,
    Source,
    read_sources,
    sources_of,
)
from conducto_core.run.model.records import AttemptRecord, CacheSource, PipelineRecord
from conducto_core.run.model.states import State
from conducto_core.run.rules.live_nodes import LiveExec, LiveGroup
from conducto_core.run.rules.tree_state import TreeState
from conducto_core.tree.model import is_within

#: Maximum number of names in a row.
MAX_NAMES = 5
#: Maximum number of steps from a file to its sources.
_MAX_DEPTH = 30
#: Maximum number of commands with a cache whose savings are added up: their attempts are read.
_MAX_SUMMED = 20_000


@dataclass(frozen=True, slots=True)
class AttemptFiles:
    """The files of the newest successful attempt of a node.

    Attributes:
        ended: When it ended, in seconds since the epoch.
        source: The attempt whose outcome it got from the cache, or None.
        use: The files that it saw and wrote.
        now: Marks of the files that it would see now.
        results: The nodes whose results have changed since it used them.
    """

    path: str
    attempt: int
    ended: float
    source: CacheSource | None
    use: FileUse
    now: Mapping[str, str]
    results: tuple[str, ...] = ()


class Readers(NamedTuple):
    """Reads what a target stores about a pipeline.

    Attributes:
        attempts: Returns all attempts; it is not called if no command has files, or used a result
            that may have changed.
        use: Returns the files that an attempt saw and wrote.
        now: Returns the marks of the files that patterns name.
        results: Reads the results of attempts.
    """

    attempts: Callable[[], Iterable[AttemptRecord]]
    use: Callable[[AttemptRecord], FileUse]
    now: Callable[[Collection[str]], Mapping[str, str]]
    results: Read


def files_of_attempts(tree: TreeState, record: PipelineRecord, read: Readers) -> list[AttemptFiles]:
    """Return the newest successful attempts of commands with files, and of stale and cached ones.

    They are in the order of the tree.
    """
    execs = [node for node in tree.subtree(tree.root) if isinstance(node, LiveExec)]
    caches = {node.path: cache for node in execs if (cache := files_of(node.spec, record))}
    used = {node.path: newer for node in execs if (newer := _newer_sources(node, tree, record))}
    cached = [node.path for node in execs if node.spec.cache and node.state is State.DONE]
    summed = cached if len(cached) <= _MAX_SUMMED and switched_off(record) is None else ()
    wanted = {*caches, *used, *summed}
    if not wanted:  # a large tree has many attempts
        return []
    newest = {
        each.path: each
        for each in read.attempts()
        if each.path in wanted and each.state is State.DONE
    }
    changed = {
        path: tuple(_changed_results(newest[path], sources, read.results))
        for path, sources in used.items()
        if path in newest
    }
    patterns = {name for path in newest if path in caches for name in caches[path].reads}
    marks = read.now(patterns) if patterns else {}
    rows = []
    for path in (node.path for node in execs if node.path in newest):
        each, reads = newest[path], caches[path].reads if path in caches else ()
        if path in caches or changed.get(path) or each.from_cache is not None:
            seen = {name: mark for name, mark in marks.items() if names_file(reads, name)}
            used_files = read.use(each) if path in caches else FileUse({}, {})
            source, ended = each.from_cache, each.ended or 0.0
            results = changed.get(path, ())
            rows.append(AttemptFiles(path, each.number, ended, source, used_files, seen, results))
    return rows


def _newer_sources(node: LiveExec, tree: TreeState, record: PipelineRecord) -> list[Source]:
    """Return the attempts whose results a node uses, if it may have used earlier ones."""
    spec = node.spec
    if not spec.results or node.state is not State.DONE or switched_off(record) is not None:
        return []
    if spec.cache is None and not caches_items(spec, lambda path: tree.nodes[path].spec):
        return []
    try:
        sources = sources_of(spec, tree.nodes)
    except MissingResultError:  # it runs again, or failed
        return []
    return [each for each in sources if _may_be_newer(each, tree)]


def _may_be_newer(source: Source, tree: TreeState) -> bool:
    """Return whether a result may be of another attempt than the first one of its node."""
    node = tree.nodes.get(source.path)
    below = node.children if isinstance(node, LiveGroup) else []
    is_again = any(isinstance(each, LiveExec) and each.attempt > 1 for each in below)
    return is_again or any(each is None or each.number > 1 for each in source.attempts)


def _changed_results(attempt: AttemptRecord, sources: Sequence[Source], read: Read) -> list[str]:
    paths = {source.name: source.path for source in sources}
    try:
        names = newer_results(attempt.fingerprint, read_sources(sources, read))
    except MissingResultError:  # an item has none any more
        return list(paths.values())
    return [paths[name] for name in names]


def stale_inputs(each: AttemptFiles) -> list[str]:
    """Return the names of the results and files that have changed since an attempt used them."""
    files = [name for name in changed_names(each.use.read, each.now) if name not in each.use.wrote]
    return [*each.results, *files]


def stale_paths(attempts: Sequence[AttemptFiles], tops: Sequence[str]) -> tuple[str, ...]:
    """Return the stale nodes below some, all of the tree if none are given."""
    return tuple(
        each.path
        for each in attempts
        if any(is_within(each.path, top) for top in tops or ("/",)) and stale_inputs(each)
    )


def lineage_of(attempts: Sequence[AttemptFiles], name: str | None) -> Lineage:
    """Return the files of nodes, and the origin of a file or directory.

    Raises:
        NotFoundError: no attempt wrote or saw it.
    """
    every = map(_node, attempts)
    nodes = tuple(node for node in every if node.reads or node.writes or node.stale_count)
    saved = _saved(attempts)
    if name is None:
        return Lineage(nodes=nodes, saved=saved)
    writers = _writers(attempts)
    patterns = [name, f"{name.rstrip('/')}/"]
    known = {*writers, *(each for attempt in attempts for each in attempt.use.read)}
    found = sorted(each for each in known if names_file(patterns, each))
    if not found:
        raise NotFoundError(f"no command with reads= or writes= saw or wrote {name}")
    return Lineage(nodes=nodes, origins=tuple(_origins(found, writers, (), 0)), saved=saved)


def _saved(attempts: Iterable[AttemptFiles]) -> CacheSavings | None:
    sources = [each.source for each in attempts if each.source is not None]
    if not sources:
        return None
    dollars = [each.dollars for each in sources if each.dollars is not None]
    return CacheSavings(
        commands=len(sources),
        seconds=sum(each.seconds or 0.0 for each in sources),
        dollars=sum(dollars) if dollars else None,
    )


def _node(each: AttemptFiles) -> NodeFiles:
    stale = stale_inputs(each)
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
