"""The trees that Lazy nodes generate: their validation, between the worker and the store."""

import base64
import binascii
from typing import Any

from chalicelib.images.builds import ImageBuilds, known_sources
from chalicelib.installation import Installation
from chalicelib.records import Records
from chalicelib.run.model import BuiltImage
from chalicelib.run.port import Blobs
from chalicelib.run.rules.launch_validation import used_images, validate_nodes
from chalicelib.run.rules.pipeline import CloudPipeline
from conducto.errors import DefinitionError
from conducto.wire.lazy_form import from_wire_document
from conducto_core.errors import RefusedError
from conducto_core.run.rules.live_nodes import LiveExec
from conducto_core.secrets.rules import is_untrusted
from conducto_core.tree.model import Pipeline, pack_form, unpack_form, unpack_tree
from conducto_core.tree.rules.resolve import resolve_generated
from conducto_core.workers.model import (
    MAX_TREE,
    Report,
)
from conducto_core.workers.rules import pools as capacity


class GeneratedTreeError(Exception):
    """The generated tree is invalid; the message gives the reason."""


def _unpack(written: str) -> bytes:
    """Decode a tree from the base64 text of a report; raises `GeneratedTreeError`."""
    try:
        return base64.b64decode(written, validate=True)
    except (binascii.Error, ValueError) as error:
        raise GeneratedTreeError(f"printed a broken tree: {error}") from error


def form_of(document: dict[str, Any]) -> bytes:
    """Convert a printed tree to the form that is stored; raises `GeneratedTreeError`."""
    try:
        return pack_form(from_wire_document(document))
    except DefinitionError as error:
        raise GeneratedTreeError(str(error)) from error
    except ValueError as error:
        raise GeneratedTreeError(f"printed a broken tree: {error}") from error
    except (KeyError, TypeError, AttributeError) as error:
        raise GeneratedTreeError(f"printed a broken tree: {error!r}") from error


def _form_of(packed: bytes) -> bytes:
    if len(packed) > MAX_TREE:
        raise GeneratedTreeError(f"printed a tree of over {MAX_TREE >> 20} MB; make it smaller")
    try:
        document = unpack_tree(packed)
    except ValueError as error:
        raise GeneratedTreeError(f"printed a broken tree: {error}") from error
    return form_of(document)


class GeneratedTrees:
    """Keeps generated trees."""

    def __init__(
        self, records: Records, blobs: Blobs, builds: ImageBuilds, installation: Installation
    ) -> None:
        self._records = records
        self._installation = installation
        self._blobs = blobs
        self._builds = builds

    def store(
        self, live: CloudPipeline, node: LiveExec, worker_id: str, call: Report
    ) -> tuple[str, tuple[BuiltImage, ...]]:
        """Store the tree that a Lazy generated, if it is valid; return its key and images."""
        return self.keep_tree(live, node, _form_of(self._packed(live, worker_id, call)))

    def _packed(self, live: CloudPipeline, worker_id: str, call: Report) -> bytes:
        packed = None if call.tree is None else _unpack(call.tree)
        if call.tree_key is not None:
            if not call.tree_key.startswith(uploads_of(live.id, worker_id)):
                raise RefusedError(
                    f"{call.path}: {call.tree_key!r} was not uploaded by this worker"
                )
            packed = self._blobs.get(call.tree_key)
        if packed is None:
            raise GeneratedTreeError(
                "printed no tree; a Lazy's function must return a node and be annotated "
                "(-> co.Serial); a Lazy's command must print a serialised tree"
            )
        return packed

    def keep_tree(
        self, live: CloudPipeline, node: LiveExec, definition: bytes
    ) -> tuple[str, tuple[BuiltImage, ...]]:
        """Store the tree of a node that generates one, if it is valid; return its key and images.

        Raises:
            GeneratedTreeError: It is not.
            DefinitionError: It is not.
        """
        form = unpack_form(definition)
        here = Pipeline(live.pipeline.nodes, live.pipeline.images, machines=live.pipeline.machines)
        tree = resolve_generated(form, node.spec.lazy_target or "", here, live.edits)
        used = self._records.orgs.in_use(live.org)
        whole = live.nodes_with(node.spec.lazy_target or "", tree)
        buckets = self._installation.buckets_of(live.org, trusted=not is_untrusted(live.record))
        validate_nodes(tree.nodes, used.plan, buckets)
        capacity.check_fits(whole, used.plan.max_workers, used.plan.name)
        more = live.reserved_with(whole) - live.share.reserved
        if more > 0 and used.reserved + more > used.plan.max_workers:
            raise GeneratedTreeError(
                f"the tree needs {more} more workers for container_reuse_context=NEW groups that "
                f"have started; the plan {used.plan.name!r} allows {used.plan.max_workers} and "
                f"{used.reserved} are reserved. Reset this node when other groups have finished"
            )
        images = self._images(live, tree)
        return self._records.store.keep_tree(live.id, definition), images

    def _images(self, live: CloudPipeline, tree: Pipeline) -> tuple[BuiltImage, ...]:
        known = {**live.pipeline.images, **tree.images}
        fresh = [known[n] for n in used_images(tree) if not live.has_image(n)]
        sources = known_sources(fresh, live.pipeline.images, live.sources)
        try:
            return self._builds.prepare(live.org, fresh, sources)
        except RefusedError as error:
            raise GeneratedTreeError(str(error)) from error


def uploads_of(pipeline_id: str, worker_id: str) -> str:
    """Return the prefix of the keys of trees that a worker uploads."""
    return f"uploads/{pipeline_id}/{worker_id}/"
