"""Maps that are expanded in the place of the command of their Lazy: without a worker."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from chalicelib.images.builds import ImageBuilds
from chalicelib.installation import Installation
from chalicelib.logs.port import LogKey, Storage
from chalicelib.records import Records
from chalicelib.run.generated_trees import GeneratedTreeError, GeneratedTrees, form_of
from chalicelib.run.model import MapExpanded
from chalicelib.run.results import reader_of
from chalicelib.run.rules.pipeline import CloudPipeline
from conducto.errors import DefinitionError
from conducto.wire.limits import MAX_CLOUD_ITEMS
from conducto_core.maps.rules import ExpandedMap, ExpansionError, expand_map
from conducto_core.programs.rules.fingerprints import fingerprint
from conducto_core.results.rules import (
    MissingResultError,
    Source,
    payload_of,
    read_sources,
    sources_of,
)
from conducto_core.run.model.states import Cause, State
from conducto_core.tree.model import NodeSpec


@dataclass(frozen=True, slots=True)
class _Made:
    """A map that was expanded, with what it depends on.

    Attributes:
        sources: The attempts whose results it used.
        made: The map, or why there is none.
        print: The fingerprint of its inputs.
    """

    spec: NodeSpec
    sources: Sequence[Source]
    made: ExpandedMap | ExpansionError
    print: str | None


class MapExpander:
    """Expands the maps of a pipeline."""

    def __init__(
        self, records: Records, storage: Storage, builds: ImageBuilds, installation: Installation
    ) -> None:
        self._storage = storage
        self._trees = GeneratedTrees(records, storage.blobs, builds, installation)
        self._known: _Made | None = None

    def decide(
        self, live: CloudPipeline, path: str, clock: Callable[[], float]
    ) -> MapExpanded | None:
        """Return the expansion of a map; None: it does not wait for one any more.

        The tree and the output are stored before the entry of the journal, under names that follow
        from their content and the attempt: to repeat this after a crash changes nothing.
        """
        attempt = live.expansions.get(path)
        node = None if attempt is None else live.exec_in(path, attempt, State.QUEUED)
        if attempt is None or node is None:
            return None
        failed = MapExpanded(time=clock(), path=path, attempt=attempt, cause=Cause.LAZY)
        try:
            known = self._expanded(live, node.spec)
            failed = failed.model_copy(update={"fingerprint": known.print})
            if isinstance(known.made, ExpansionError):
                raise known.made
            key, images = self._trees.keep_tree(live, node, form_of(known.made.document))
        except MissingResultError as error:
            return failed.model_copy(update={"cause": Cause.INPUT, "message": str(error)})
        except (ExpansionError, GeneratedTreeError, DefinitionError) as error:
            return failed.model_copy(update={"message": str(error)})
        output = known.made.output
        self._storage.logs.append(LogKey(live.id, path, attempt, "stdout"), 0, output)
        done = {"cause": None, "tree_key": key, "images": images, "output_bytes": len(output)}
        return failed.model_copy(update=done)

    def _expanded(self, live: CloudPipeline, spec: NodeSpec) -> _Made:
        """Return an expanded map; after a conflict with another writer, the same one."""
        sources = sources_of(spec, live.tree.nodes)
        known = self._known
        if known is None or known.spec is not spec or known.sources != sources:
            results = read_sources(sources, reader_of(self._storage.logs, live.id))
            results |= payload_of(spec, live.pipeline.payload)
            made: ExpandedMap | ExpansionError
            try:
                made = expand_map(spec, results, MAX_CLOUD_ITEMS)
            except ExpansionError as error:
                made = error
            print_ = fingerprint(spec, "", None, "", results=results)
            self._known = known = _Made(spec, sources, made, print_)
        return known
