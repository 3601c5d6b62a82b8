"""The replacement of a pipeline's definition by that of a changed script."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence

from conducto_core.images.model import ImageSpec
from conducto_core.images.rules import definition_of
from conducto_core.programs.model import ContinueRequest
from conducto_core.programs.relaunch import AvailableImage, fingerprint_in
from conducto_core.programs.rules.continuation import (
    Continuation,
    continuation,
    continued_tree,
    fresh,
    newest,
    with_generated,
)
from conducto_core.programs.rules.fingerprints import ANY
from conducto_core.run.launching import check_continuable, new_record
from conducto_core.run.rules.tree_state import TreeState
from conducto_core.tree.model import Pipeline, pack_form, unpack_form
from conducto_local.agent.state_dir import StateDir
from conducto_local.data.buckets import check_buckets
from conducto_local.run import pipelines as pipeline_loader
from conducto_local.run.admission import check_nodes
from conducto_local.run.live_pipeline import LivePipeline
from conducto_local.run.scheduler import Scheduler
from conducto_local.secrets.injection import InjectedSecrets
from conducto_local.store.port import Redefinition, Store

#: Images by definition: a tree without one of the generated trees may name them differently.
AvailableImages = Sequence[tuple[ImageSpec, AvailableImage | None]]


class Continuations:
    """Replaces definitions."""

    def __init__(self, store: Store, scheduler: Scheduler, home: StateDir) -> None:
        self._store = store
        self._home = home
        self._scheduler = scheduler

    async def execute(self, live: LivePipeline, request: ContinueRequest) -> Continuation:
        """Replace the definition of a pipeline, unless it is a preview; return the plan.

        The pipeline is paused.

        Raises:
            RefusedError: It runs, is archived or is of another script.
            DefinitionError: The new tree is invalid.
            EngineError: The engine is unreachable.
        """
        async with live.modifying:
            check_continuable(live, request)
            await self._scheduler.saved(wait=False)
            seq = live.seq
            made = await self._plan(live, request)
            if request.preview:
                return made
            tree, redefinition = await asyncio.to_thread(self._prepared, live, request, made)
            _check_unchanged(live, request, seq)  # a refused request removes no container
            await self._scheduler.networks.release(live)
            await self._scheduler.saved(wait=False)
            _check_unchanged(live, request, seq)
            self._replace(live, request, made, tree, redefinition)
        return made

    async def _plan(self, live: LivePipeline, request: ContinueRequest) -> Continuation:
        form = request.launch.tree
        generated = self._store.generated(live.id)
        forms = {target: unpack_form(each) for target, each in generated.items()}
        first = pipeline, _ = await asyncio.to_thread(with_generated, form, forms)
        check_nodes(pipeline.nodes, self._scheduler.engine_context(live).limits_or_none())
        check_buckets(pipeline.execs(), self._home)
        if request.fresh:
            pipeline, _ = with_generated(form, {})
            return Continuation(pipeline, fresh(live.tree, pipeline.nodes))
        ran = newest(self._store.attempts(live.id))
        images = await self._images(live, pipeline, ran)
        secrets = await self._scheduler.secrets.delivery(secret_set=live.record.secret_set)
        compared = None if request.keep_secrets else secrets
        return await asyncio.to_thread(
            continuation,
            live.tree,
            ran,
            form,
            forms,
            lambda new: prints(new, images, compared, secrets.mask.text),
            files=self._scheduler.manifests.changed,
            first=first,
        )

    async def _images(
        self, live: LivePipeline, pipeline: Pipeline, ran: Mapping[str, str | None]
    ) -> AvailableImages:
        """Return the images whose digests decide; None for one that must be built."""
        used = {spec.placement.image for spec in pipeline.execs() if ran.get(spec.path) is not None}
        if not used:
            return []
        engine_context = self._scheduler.engine_context(live)
        await engine_context.open()
        builder = engine_context.builder()
        specs = [pipeline.images[name] for name in sorted(used)]
        return [(definition_of(spec), await builder.lookup(spec)) for spec in specs]

    def _prepared(
        self, live: LivePipeline, request: ContinueRequest, made: Continuation
    ) -> tuple[TreeState, Redefinition]:
        tried = self._store.newest_attempts(live.id)
        tree = continued_tree(live.tree, made.pipeline, set(made.plan.kept_paths()), tried)
        old = self._store.generated(live.id)
        generated = {target: old[target] for target in made.generated}
        plan = made.plan.record(time.time()).model_dump(mode="json")
        return tree, Redefinition(pack_form(request.launch.tree), generated, pack_form(plan))

    def _replace(
        self,
        live: LivePipeline,
        request: ContinueRequest,
        made: Continuation,
        tree: TreeState,
        redefinition: Redefinition,
    ) -> None:
        live.redefine(new_record(live.id, request.launch, made.pipeline), made.pipeline, tree)
        live.store_redefinition(pipeline_loader.images_of(made.pipeline), redefinition)


def _check_unchanged(live: LivePipeline, request: ContinueRequest, seq: int) -> None:
    check_continuable(live, request.model_copy(update={"seq": seq}))


def prints(
    pipeline: Pipeline,
    images: AvailableImages,
    secrets: InjectedSecrets | None,
    hide: Callable[[str], str],
) -> dict[str, str | None]:
    found = {
        name: next((built for known, built in images if known == definition_of(spec)), None)
        for name, spec in pipeline.images.items()
    }
    return {
        spec.path: fingerprint_in(
            spec,
            found[spec.placement.image],
            ANY if secrets is None else secrets.only(spec.secrets).origins,
            hide,
        )
        for spec in pipeline.execs()
    }
