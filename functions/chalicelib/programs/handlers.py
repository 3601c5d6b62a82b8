"""The operation of `CloudPipelines` that continues a pipeline with a changed tree."""

import asyncio
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from chalicelib.api.caller import CloudCaller
from chalicelib.billing.metering import check_usage
from chalicelib.images.builds import known_sources
from chalicelib.run.launching import CloudLaunches, check_sent, with_machines
from chalicelib.run.model import ActionRequested, BuiltImage, Input, TreeReplaced
from chalicelib.run.rules.launch_validation import used_images, validate_nodes
from chalicelib.run.rules.pipeline import CloudPipeline
from chalicelib.run.rules.state import define
from chalicelib.secrets.injection import InjectedSecrets, inject_commands
from conducto_core.api import cloud_operations
from conducto_core.api.serve import serves
from conducto_core.programs.git_launch import GitLaunch
from conducto_core.programs.memory import MemoryOfPrograms
from conducto_core.programs.model import ContinuePlan, ContinueRequest
from conducto_core.programs.relaunch import fingerprint_in
from conducto_core.programs.rules.continuation import (
    Continuation,
    continuation,
    fresh,
    newest,
    with_generated,
)
from conducto_core.programs.rules.fingerprints import ANY
from conducto_core.run import operations as run_operations
from conducto_core.run import views
from conducto_core.run.launching import check_continuable, new_record
from conducto_core.run.model.params import PipelineParams
from conducto_core.run.model.requests import Action, LaunchRequest, PipelineSummary
from conducto_core.schedules.rules.schedules import git_form
from conducto_core.secrets.rules import changed, is_untrusted, secret_access
from conducto_core.tree.model import Pipeline, pack_form, unpack_form
from conducto_core.triggers.rules.launch import repository_of
from conducto_core.workers.rules.fargate import largest_mem


@dataclass(frozen=True, slots=True)
class _Replacement:
    """A plan, and the images of the new tree by name."""

    made: Continuation
    images: Mapping[str, BuiltImage]


class CloudContinuations(CloudCaller, MemoryOfPrograms):
    """Replaces definitions."""

    @serves(run_operations.CONTINUE)
    async def continue_pipeline(
        self, params: PipelineParams, request: ContinueRequest
    ) -> ContinuePlan:
        """Replace the definition of a pipeline; run or schedule it if requested."""
        check_sent(request.launch.sources)
        await self.add_memory(request.launch)
        return await asyncio.to_thread(self._continue, params.id, request)

    def _continue(self, given: str, request: ContinueRequest) -> ContinuePlan:
        id_ = self._owned(given)
        launch = with_machines(self._installation.machine_classes, request.launch)
        request = request.model_copy(update={"launch": launch})
        if request.launch.run and not request.preview:
            check_usage(
                self._records,
                self._installation.remedies,
                self._timing.clock,
                self._me.org,
            )
        plans: list[Continuation] = []
        asked = [request]

        def decide(live: CloudPipeline) -> Input | None:
            check_continuable(live, asked[-1])
            asked.append(request.model_copy(update={"seq": live.seq}))  # also after a conflict
            planned = self._planned(live, request)
            plans[:] = [planned.made]
            return None if request.preview else self._replaced(live, request, planned)

        self._submit(id_, decide)
        if request.launch.run and not request.preview:
            self._submit(id_, self._run)
        with self._engine.reading(self._me.org, id_) as live:
            summary = views.summary(live)
        plan = plans[0].plan
        return ContinuePlan(
            pipeline=summary, nodes=plan.nodes(), removed=plan.removed, preview=request.preview
        )

    async def stored_plan(self, pipeline_id: str) -> bytes | None:
        def read_plan(live: CloudPipeline) -> bytes | None:
            return None if live.plan_key is None else live.tree_of(live.plan_key, "plan")

        return await self._read(pipeline_id, read_plan)

    def _run(self, _: CloudPipeline) -> Input:
        return ActionRequested(time=self._timing.clock(), action=Action.RUN, by=self._me.user)

    def _planned(self, live: CloudPipeline, request: ContinueRequest) -> _Replacement:
        form = request.launch.tree
        keys = {} if request.fresh else live.generated
        forms = {target: unpack_form(live.tree_of(key)) for target, key in keys.items()}
        first = pipeline, _ = with_generated(form, forms)
        buckets = self._installation.buckets_of(live.org, trusted=not is_untrusted(live.record))
        validate_nodes(pipeline.nodes, self._records.orgs.plan(live.org), buckets)
        if request.fresh:
            images = self._images(live, pipeline, request)
            return _Replacement(Continuation(pipeline, fresh(live.tree, pipeline.nodes)), images)
        ran = newest(live.with_running(self._records.store.attempts(live.id)))
        secrets = self._secrets_after(live)
        hide = secrets.mask().text
        images = {}

        def prints(tree: Pipeline) -> dict[str, str | None]:
            # A tree without one of the generated trees may name its images differently.
            nonlocal images
            images = self._images(live, tree, request)
            return _fingerprints(tree, images, None if request.keep_secrets else secrets, hide)

        files = self._builds.manifests(live.org)
        made = continuation(live.tree, ran, form, forms, prints, files=files.changed, first=first)
        return _Replacement(made, images)

    def _images(
        self, live: CloudPipeline, pipeline: Pipeline, request: ContinueRequest
    ) -> dict[str, BuiltImage]:
        used = [pipeline.images[name] for name in used_images(pipeline)]
        sources = known_sources(used, pipeline.images, request.launch.sources)
        rebuilt = [image.built for image in live.images.values() if image.built is not None]
        prepared = self._builds.prepare(
            live.org, used, sources, rebuilt=rebuilt, preview=request.preview
        )
        return {image.name: image for image in prepared}

    def _secrets_after(self, live: CloudPipeline) -> InjectedSecrets:
        """Return the secrets that commands get after the replacement by this caller."""
        record = changed(live.record, "continue", self._me.user, self._timing.clock())
        access = secret_access(record)
        return inject_commands(self._secrets.vault, live.org, access, self._secrets.services)

    def _replaced(
        self, live: CloudPipeline, request: ContinueRequest, planned: _Replacement
    ) -> TreeReplaced:
        now, launch, made = self._timing.clock(), request.launch, planned.made
        record = new_record(live.id, launch, made.pipeline, mode="cloud", now=now)
        maximum = largest_mem(self._records.orgs.plan(live.org).max_cpu)
        definition = define(record, launch.tree, launch.sources, max_mem=maximum)
        plan = made.plan.record(now)
        keep = self._records.store.keep_tree
        key = keep(live.id, pack_form(definition))
        live.prepared = key, made.pipeline
        return TreeReplaced(
            time=now,
            definition=key,
            plan=keep(live.id, pack_form(plan.model_dump(mode="json"))),
            generated=made.generated,
            images=tuple(planned.images[name] for name in used_images(made.pipeline)),
            by=self._me.user,
        )


def _fingerprints(
    pipeline: Pipeline,
    images: Mapping[str, BuiltImage],
    secrets: InjectedSecrets | None,
    hide: Callable[[str], str],
) -> dict[str, str | None]:
    """Return the fingerprints of the Execs of a tree with images; no secrets: do not compare."""
    return {
        spec.path: fingerprint_in(
            spec,
            images.get(spec.placement.image),
            ANY if secrets is None else secrets.only(spec.secrets).origins,
            hide,
        )
        for spec in pipeline.execs()
    }


# ----------------------------------------------------------------------------------------
# The operation that launches from a Git repository.


_MAX_TITLE = 200


class CloudGitLaunches(CloudLaunches):
    """Launches from repositories."""

    @serves(cloud_operations.LAUNCH_FROM_GIT)
    async def launch_from_git(
        self, request: GitLaunch, key: str | None = None, *, repeated: bool = False
    ) -> PipelineSummary:
        """Launch a Lazy that clones a repository and runs a script of it."""
        name = repository_of(request.url)
        words = shlex.join((request.script, *request.arguments))
        launch = LaunchRequest(
            tree=git_form(request.source()),
            title=request.title or f"{name} {words}"[:_MAX_TITLE],
            program=f"{name}/{request.script}",
            run=request.run,
        )
        return await self.launch(launch, key, repeated=repeated)
