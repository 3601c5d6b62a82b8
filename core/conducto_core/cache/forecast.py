"""The decisions of the cache about a tree that is not launched yet.

Each decision is that of `conducto_core.cache.rules`, with the inputs that are known: results and
files of commands whose outcome is in the cache. The data of a new pipeline is empty. A map whose
list is known is expanded, so that its items are decided, too.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from conducto.errors import DefinitionError
from conducto.wire.conditions import sources_of as sources_in
from conducto.wire.conditions import why_false
from conducto.wire.lazy_form import from_wire_document
from conducto.wire.result_order import PAYLOAD
from conducto_core.cache.files import DIRECTORY, FileUse, names_file, overlap
from conducto_core.cache.model import CacheForecast, ForecastFate
from conducto_core.cache.rules import CacheDecision, caches_items, files_of, switched_off
from conducto_core.maps.rules import ExpansionError, expand_map
from conducto_core.results.rules import (
    MissingResultError,
    items_of,
    payload_of,
    read_sources,
    sources_of,
)
from conducto_core.run.model.records import PipelineRecord
from conducto_core.run.model.states import NodeType, State
from conducto_core.run.rules.live_nodes import LiveExec, LiveGroup
from conducto_core.run.rules.tree_state import TreeState
from conducto_core.tree.model import NodeSpec, Pipeline, ancestors, parent_of
from conducto_core.tree.rules.resolve import resolve_generated


class Look(NamedTuple):
    """The decision of a target about a command whose inputs are known.

    Attributes:
        decision: The decision, if it started now.
        streams: Those of the entry of a hit.
    """

    decision: CacheDecision
    streams: Mapping[str, bytes] = {}


#: Decides about a command with results and marks of files; a text is the input that is not known.
Decide = Callable[[NodeSpec, Mapping[str, bytes], Mapping[str, str]], Look | str]


class _Writer(NamedTuple):
    path: str
    writes: Collection[str]


#: The input of a command whose image is not built.
UNKNOWN_IMAGE = "its image, which must be built first"
_ANYTHING = ("**",)


@dataclass(slots=True)
class _Written:
    """The files that the commands before one have written.

    Attributes:
        known: Marks of those of hits.
        unknown: ``{group: {child: commands below it that run}}``.
    """

    known: dict[str, str] = field(default_factory=dict)
    unknown: dict[str, dict[str, list[_Writer]]] = field(default_factory=dict)

    def add_hit(self, writes: Collection[str], wrote: Mapping[str, str]) -> None:
        others = [name for name in self.known if name not in wrote and names_file(writes, name)]
        for name in others:
            del self.known[name]
        for name, mark in wrote.items():
            self.known[name] = mark
            parts = name.rstrip("/").split("/")[:-1]
            above = ("".join(f"{part}/" for part in parts[: at + 1]) for at in range(len(parts)))
            self.known.update(dict.fromkeys(above, DIRECTORY))

    def add_unknown(self, path: str, writes: Collection[str]) -> None:
        below = path
        for above in ancestors(path):
            found = self.unknown.setdefault(above, {}).setdefault(below, [])
            if not found or found[0].writes is not _ANYTHING:
                found.append(_Writer(path, writes))
            below = above

    def unknown_before(
        self, path: str, reads: Collection[str], nodes: Mapping[str, NodeSpec]
    ) -> str | None:
        """Return a command that runs before another one, and may write what that reads."""
        below = path
        for above in ancestors(path):
            if nodes[above].type is NodeType.SERIAL:
                for child, writers in self.unknown.get(above, {}).items():
                    if child == below:
                        break
                    for writer in writers:
                        if any(overlap(one, two) for one in reads for two in writer.writes):
                            return writer.path
            below = above
        return None


def forecast(pipeline: Pipeline, record: PipelineRecord, decide: Decide) -> Iterator[CacheForecast]:
    """Yield the decisions about commands, in the order of the tree.

    They are about each command with a cache, and each that a condition (``run_if``) skips.

    Args:
        pipeline: The resolved tree.
        record: The record that its pipeline would have.
        decide: Decides about a command.
    """
    made = _Forecast(pipeline, record, decide)
    for spec in pipeline.execs():
        yield from made.decisions(spec)


class _Forecast:
    def __init__(self, pipeline: Pipeline, record: PipelineRecord, decide: Decide) -> None:
        self._pipeline = replace(pipeline, nodes=dict(pipeline.nodes), images=dict(pipeline.images))
        self._record = record
        self._decide = decide
        self._tree = TreeState(pipeline)
        self._results: dict[str, bytes] = {}
        self._written = _Written()
        self._running: dict[tuple[str, ...], str] = {}

    def decisions(self, spec: NodeSpec) -> Iterator[CacheForecast]:
        """Yield the decision about the next command, or those about the items of a map."""
        if any(self._pipeline.nodes[path].skip for path in (spec.path, *ancestors(spec.path))):
            return
        if spec.expansion is not None:
            yield from self._of_map(spec)
            return
        found = self._forecast(spec)
        if found is not None:
            yield found

    def _of_map(self, spec: NodeSpec) -> Iterator[CacheForecast]:
        """Yield the decisions about the items of a map, or the one about the whole map."""
        items = self._condition(spec) or self._items(spec)
        if not isinstance(items, CacheForecast):
            for item in items:
                yield from self.decisions(item)
            return
        whole = parent_of(spec.path) or "/"
        if items.fate is not ForecastFate.SKIPPED:
            self._written.add_unknown(whole, _ANYTHING)
        if caches_items(spec, self._pipeline.nodes.__getitem__):
            yield items.model_copy(update={"path": whole})

    def _items(self, spec: NodeSpec) -> Sequence[NodeSpec] | CacheForecast:
        """Return the items of a map, which are in the tree then; or why they are not known."""
        unknown = self._unknown_result(spec)
        if unknown is not None:
            return _depends(spec, unknown)
        target = spec.lazy_target or ""
        try:
            form = from_wire_document(expand_map(spec, self._results_of(spec)).document)
            made = resolve_generated(form, target, self._pipeline)
        except (MissingResultError, ExpansionError, DefinitionError) as error:
            return _runs(spec, f"fails: {error}")
        self._pipeline.nodes.update(made.nodes)
        self._pipeline.images.update(made.images)
        self._tree.replace(target, made.nodes)
        return tuple(made.execs())

    def _forecast(self, spec: NodeSpec) -> CacheForecast | None:
        """Return the decision about a command; None: it has no cache."""
        condition = self._condition(spec)
        if condition is not None and condition.fate is ForecastFate.SKIPPED:
            return condition
        files = files_of(spec, self._record)
        if spec.cache is None:
            if spec.approval is None:
                self._written.add_unknown(spec.path, _ANYTHING)
            return None if spec.cache_off is None else _runs(spec, f"not cached: {spec.cache_off}")
        off = switched_off(self._record)
        found = condition
        if off is not None:
            found = _runs(spec, f"not cached: {off}")
        elif found is None:
            found = self._decided(spec)
        if found.fate is not ForecastFate.CACHED and (off is not None or files is not None):
            self._written.add_unknown(spec.path, _ANYTHING if files is None else files.writes)
        return found

    def _condition(self, spec: NodeSpec) -> CacheForecast | None:
        """Return the decision if a condition skips a command, or is not known yet."""
        unknown = None
        for path in (spec.path, *ancestors(spec.path)):
            condition = self._pipeline.nodes[path].run_if
            if condition is None:
                continue
            missing = [each for each in sources_in(condition) if not self._is_known(each)]
            if missing:
                unknown = _depends(spec, missing[0])
            elif not self._tree.holds(condition):
                why = why_false(condition, self._tree.compared)
                return CacheForecast(path=spec.path, fate=ForecastFate.SKIPPED, reason=why)
        return unknown

    def _is_known(self, source: str) -> bool:
        return source == PAYLOAD or source in self._results

    def _decided(self, spec: NodeSpec) -> CacheForecast:
        files = files_of(spec, self._record)
        reads = () if files is None else files.reads
        before = self._unknown_result(spec) or self._written.unknown_before(
            spec.path, reads, self._pipeline.nodes
        )
        if before is not None:
            return _depends(spec, before)
        known = self._written.known
        marks = {name: mark for name, mark in known.items() if names_file(reads, name)}
        try:
            results = self._results_of(spec)
        except MissingResultError as error:
            return _runs(spec, str(error))
        look = self._decide(spec, results, marks)
        if isinstance(look, str):
            return _depends(spec, look)
        entry = look.decision.entry
        if entry is None:
            equal = self._equal_before(spec, look.decision.fields)
            return _runs(spec, look.decision.reason) if equal is None else _depends(spec, equal)
        node = self._tree.nodes[spec.path]
        node.state, node.attempt = State.DONE, 1
        self._results[spec.path] = result = look.streams.get("result", b"")
        if isinstance(node, LiveExec):
            node.known = self._tree.known_of(spec.path, lambda: result)
        if files is not None:
            wrote = FileUse.from_bytes(look.streams.get("files", b"")).wrote
            self._written.add_hit(files.writes, wrote)
        return CacheForecast(
            path=spec.path, fate=ForecastFate.CACHED, source=entry.source, seconds=entry.seconds
        )

    def _results_of(self, spec: NodeSpec) -> dict[str, bytes]:
        """Return the results that a command uses; raises `MissingResultError`."""
        sources = sources_of(spec, self._tree.nodes)
        results = read_sources(sources, lambda each: [self._results[a.path] for a in each])
        return {**results, **payload_of(spec, self._pipeline.payload)}

    def _equal_before(self, spec: NodeSpec, fields: Mapping[str, str] | None) -> str | None:
        """Return a command with equal fields that runs before, and whose outcome it may get."""
        if fields is None or self._record.no_cache:
            return None
        first = self._running.setdefault(tuple(fields[name] for name in sorted(fields)), spec.path)
        return None if first == spec.path else first

    def _unknown_result(self, spec: NodeSpec) -> str | None:
        """Return a node whose result the command uses, and that is not from the cache."""
        for path in spec.results:
            node = self._tree.nodes.get(path)
            if isinstance(node, LiveGroup):
                waits = any(child.spec.awaits_tree for child in node.children)
                if waits or not all(item.path in self._results for item in items_of(node)):
                    return path
                node.state = State.DONE
            elif isinstance(node, LiveExec) and path not in self._results:
                return path
        return None


def _runs(spec: NodeSpec, reason: str) -> CacheForecast:
    return CacheForecast(path=spec.path, fate=ForecastFate.RUNS, reason=reason)


def _depends(spec: NodeSpec, what: str) -> CacheForecast:
    return CacheForecast(path=spec.path, fate=ForecastFate.DEPENDS, reason=what)
