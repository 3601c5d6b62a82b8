"""The operations of `CloudPipelines` that launch a pipeline."""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import islice
from time import monotonic

from chalicelib.api.caller import CloudCaller
from chalicelib.api.transfers import new_key
from chalicelib.billing.metering import check_usage
from chalicelib.errors import ConflictError, paused_collection
from chalicelib.images.builds import known_sources
from chalicelib.images.git_clones import GitClones
from chalicelib.run.launch_queue import in_turn
from chalicelib.run.model import ActionRequested, ImagesUpdated
from chalicelib.run.port import CloudRecord
from chalicelib.run.rules.launch_validation import used_images, validate_nodes
from chalicelib.run.rules.pipeline import CloudPipeline
from chalicelib.run.rules.state import define
from chalicelib.secrets.handlers import VaultSecrets
from conducto_core.api import cloud_operations
from conducto_core.api.cloud_operations import ContextsMissing, ContextsWanted, OwnBuilds
from conducto_core.api.serve import serves
from conducto_core.budgets.rules import with_default
from conducto_core.cache.model import CacheForecast, CachePlan
from conducto_core.children.rules import check_count
from conducto_core.errors import NotFoundError, PlanFullError, RefusedError
from conducto_core.images.model import ImageSources, ImageSpec
from conducto_core.machines.model import MachineClass
from conducto_core.machines.rules import MACHINES_PART, written
from conducto_core.programs.memory import MemoryOfPrograms
from conducto_core.run import operations as run_operations
from conducto_core.run import views
from conducto_core.run.launching import TRIED_IDS, ids_for, is_of_launch, new_record
from conducto_core.run.model.records import ForeignChange, GitOrigin, ParentAttempt, PipelineRecord
from conducto_core.run.model.requests import Action, LaunchRequest, PipelineSummary
from conducto_core.secrets.rules import check_set_exists, is_untrusted, set_of
from conducto_core.tree.model import Pipeline, pack_form
from conducto_core.tree.rules.resolve import resolve
from conducto_core.workers.model import UploadResponse
from conducto_core.workers.rules.fargate import largest_mem

#: Seconds for the decisions about a tree that is not launched; the request ends after 29 s.
FORECAST_SECONDS = 20.0

# ----------------------------------------------------------------------------------------
# Where the files of a launch's images come from.


@dataclass(frozen=True, slots=True)
class Origin:
    """The command that launches a pipeline.

    Attributes:
        foreign_change: That of its pipeline: the child runs without the owner's secrets, too.
        images: Images of its pipeline.
        sources: The contents of their files.
    """

    parent: ParentAttempt
    foreign_change: ForeignChange | None
    images: Mapping[str, ImageSpec]
    sources: Mapping[str, ImageSources]


def with_machines(
    machine_classes: Mapping[str, MachineClass], request: LaunchRequest
) -> LaunchRequest:
    """Return a request whose tree has the machine classes of the installation."""
    tree = {**request.tree, MACHINES_PART: written(machine_classes)}
    return request.model_copy(update={"tree": tree})


def check_sent(sources: Mapping[str, ImageSources]) -> None:
    """Check the sources in a request of a client; stored ones may name who lends a token.

    Raises:
        RefusedError: One names a git trigger or a user, and would get their token.
    """
    for name, given in sources.items():
        if given.clone is not None and given.clone.is_lent:
            raise RefusedError(
                f"image {name!r}: a request cannot name the git trigger or the user whose token "
                "clones it; launch their pipeline again: conducto launch ID --same-tree"
            )


def with_sources(
    clones: GitClones,
    request: LaunchRequest,
    used: Iterable[ImageSpec],
    origin: Origin | GitOrigin | None,
) -> LaunchRequest:
    """Return a request with the contents of files that its client did not send.

    Raises:
        RefusedError: A repository cannot be cloned.
        DeliveryError: Its server cannot be reached now.
    """
    match origin:
        case Origin():
            sources = known_sources(used, origin.images, origin.sources)
        case GitOrigin():
            return request
        case None:
            sources = clones.with_clones(used, request.sources)
    return request.model_copy(update={"sources": sources})


class CloudLaunches(CloudCaller, MemoryOfPrograms):
    """Uploads, own builds and launches."""

    @property
    def _clones(self) -> GitClones:
        return GitClones(self._records, self._git, self._me)

    def most_memory(self, engine: str = "docker") -> float | None:  # noqa: ARG002  there is one
        """Return the GB of the largest worker of the plan."""
        return largest_mem(self._records.orgs.plan(self._me.org).max_cpu)

    @serves(cloud_operations.UPLOAD_BODY)
    async def upload_body(self) -> UploadResponse:
        """Return a URL for uploading a body that is too large for a request."""
        key = new_key(self._me)
        return UploadResponse(url=self._storage.blobs.upload_url(key), key=key)

    @serves(cloud_operations.CONTEXTS)
    async def upload_contexts(self, wanted: ContextsWanted) -> ContextsMissing:
        """Return upload URLs for the directories that are not in the bucket yet."""
        missing = self._builds.wanted_contexts(self._me.org, wanted.contexts)
        return ContextsMissing(
            missing={digest: self._storage.blobs.upload_url(key) for digest, key in missing}
        )

    @serves(cloud_operations.OWN_BUILDS)
    async def own_builds(self, request: LaunchRequest) -> OwnBuilds:
        """Return the images of a launch that the client must build itself."""
        check_sent(request.sources)
        return await asyncio.to_thread(self._own_builds, request)

    def _own_builds(self, request: LaunchRequest) -> OwnBuilds:
        pipeline = resolve(with_machines(self._installation.machine_classes, request).tree)
        plan = self._records.orgs.plan(self._me.org)
        validate_nodes(pipeline.nodes, plan, self._installation.buckets_of(self._me.org))
        used = [pipeline.images[name] for name in used_images(pipeline)]
        return self._builds.for_own(self._me, used, request.sources)

    async def forecast(self, request: LaunchRequest) -> CachePlan:
        """Return the decisions of the cache about a tree that is not launched yet."""
        check_sent(request.sources)
        return await asyncio.to_thread(self._forecast, request)

    def _forecast(self, request: LaunchRequest) -> CachePlan:
        request = with_machines(self._installation.machine_classes, request)
        pipeline = resolve(request.tree)
        plan = self._records.orgs.plan(self._me.org)
        validate_nodes(pipeline.nodes, plan, self._installation.buckets_of(self._me.org))
        used = [pipeline.images[name] for name in used_images(pipeline)]
        sources = with_sources(self._clones, request, used, None).sources
        images = self._builds.prepare(self._me.org, used, sources, preview=True)
        now = self._timing.clock()
        mine = request.model_copy(update={"owner": self._me.user})
        record = new_record(next(ids_for(None)), mine, pipeline, mode="cloud", now=now)
        built = {image.name: image for image in images}
        end = monotonic() + FORECAST_SECONDS
        found: list[CacheForecast] = []
        for each in self._engine.caches.forecast(self._me.org, record, pipeline, built):
            if monotonic() > end:
                return CachePlan(nodes=tuple(found), complete=False)
            found.append(each)
        return CachePlan(nodes=tuple(found))

    @serves(run_operations.LAUNCH)
    async def launch(
        self,
        request: LaunchRequest,
        key: str | None = None,
        *,
        repeated: bool = False,
        origin: Origin | GitOrigin | None = None,
    ) -> PipelineSummary:
        """Validate, resolve and store a pipeline, and start it if requested."""
        check_sent(request.sources)
        return await self.launch_stored(request, key, repeated=repeated, origin=origin)

    async def launch_stored(
        self,
        request: LaunchRequest,
        key: str | None = None,
        *,
        repeated: bool = False,
        origin: Origin | GitOrigin | None = None,
        turn: str | None = None,
    ) -> PipelineSummary:
        """Launch a request that no client sent: its clones may use the triggers that they name.

        ``turn``: Its turn in the queue, in which it gets a place if the plan is full.
        """
        await self.add_memory(request)
        await asyncio.to_thread(self._check_set, request)
        own = None if key is None else self._own(key)
        launch = partial(self._launch, request, own, repeated=repeated, origin=origin)
        if turn is None:
            return await asyncio.to_thread(launch)
        return await asyncio.to_thread(
            in_turn,
            self._records,
            self._timing.clock,
            self._me.org,
            turn,
            lambda ahead: launch(ahead=ahead),
        )

    def _check_set(self, request: LaunchRequest) -> None:
        """Check the set of secrets that a launch names; raises `RefusedError`."""
        secret_set = set_of(request.tree)
        if secret_set:
            names = VaultSecrets(self._secrets.vault, self._me.org, self._me.user).read()
            check_set_exists(secret_set, names)

    def check_turn(self, turn: str) -> None:
        """Check that the plan has room for a launch of the queue; raises `PlanFullError`."""

        def check(ahead: int) -> None:
            check_usage(
                self._records,
                self._installation.remedies,
                self._timing.clock,
                self._me.org,
            )
            self._check_plan(None, ahead)

        in_turn(self._records, self._timing.clock, self._me.org, turn, check)

    @paused_collection()
    def _launch(
        self,
        request: LaunchRequest,
        key: str | None,
        *,
        repeated: bool,
        origin: Origin | GitOrigin | None,
        ahead: int = 0,
    ) -> PipelineSummary:
        launched = self._launched(key) if repeated and key is not None else None
        if launched is None and (request.run or request.run_at is not None):
            check_usage(
                self._records,
                self._installation.remedies,
                self._timing.clock,
                self._me.org,
            )
        if request.engine != "docker":
            raise RefusedError(f"engine={request.engine!r} runs locally only; leave it out")
        request = with_machines(self._installation.machine_classes, request)
        pipeline = resolve(request.tree)
        plan = self._records.orgs.plan(self._me.org)
        defaults = self._me.budget, plan.pipeline_budget
        tree = with_default(request.tree, *defaults) if pipeline.root.budget is None else None
        if tree is not None and tree is not request.tree:
            request, pipeline = request.model_copy(update={"tree": tree}), resolve(tree)
        copied = None if launched is not None else self._copied(request)
        trusted = _is_trusted(origin, copied)
        buckets = self._installation.buckets_of(self._me.org, trusted=trusted)
        validate_nodes(pipeline.nodes, plan, buckets)
        if launched is None:
            self._check_plan(origin, ahead)
        used = [pipeline.images[name] for name in used_images(pipeline)]
        request = with_sources(self._clones, request, used, origin)
        images = self._builds.prepare(self._me.org, used, request.sources)
        now = self._timing.clock()
        mine = request.model_copy(update={"owner": self._me.user, "copy_of": copied and copied.id})
        facts = {**_facts(origin), **_fork_of(copied)}
        pipeline_id = launched or self._create(mine, pipeline, now, key, facts)
        # Do not repeat steps that an earlier request has completed.
        moved = ImagesUpdated(time=now, images=images)
        self._submit(pipeline_id, lambda live: None if live.number else moved)
        if request.run:
            run = ActionRequested(time=now, action=Action.RUN, by=self._me.user)
            self._submit(pipeline_id, lambda live: None if _has_begun(live) else run)
        with self._engine.reading(self._me.org, pipeline_id) as live:
            return views.summary(live)

    def _copied(self, request: LaunchRequest) -> PipelineRecord | None:
        """Return the pipeline that a tree is copied from; raises `NotFoundError`."""
        if request.copy_of is None:
            return None
        return self._records.store.record(self._me.org, self._owned(request.copy_of))

    def launched(self, key: str) -> str | None:
        """Return the pipeline that an earlier launch with this key created, or None."""
        return self._launched(self._own(key))

    def _own(self, key: str) -> str:
        return f"{self._me.org}/{self._me.user}/{key}"  # users may choose equal keys

    def _launched(self, key: str) -> str | None:
        """Return the pipeline that an earlier request with this key created, or None."""
        for pipeline_id in islice(ids_for(key), TRIED_IDS):
            try:
                with self._engine.reading(self._me.org, pipeline_id) as live:
                    record = live.record
            except NotFoundError:
                continue
            if is_of_launch(record, self._me.user, self._timing.clock()):
                return pipeline_id
        return None

    def _create(
        self,
        request: LaunchRequest,
        pipeline: Pipeline,
        now: float,
        key: str | None,
        facts: Mapping[str, object],
    ) -> str:
        ids = ids_for(key)
        rules = self._records.rules.list_by_name(self._me.org)
        while True:
            record = new_record(next(ids), request, pipeline, mode="cloud", now=now, rules=rules)
            record = record.model_copy(update=facts)
            try:
                maximum = largest_mem(self._records.orgs.plan(self._me.org).max_cpu)
                definition = define(record, request.tree, request.sources, max_mem=maximum)
                self._records.store.create(CloudRecord(self._me.org, record), pack_form(definition))
            except ConflictError:
                # Created by another organisation, or by a concurrent request with this key.
                launched = None if key is None else self._launched(key)
                if launched is None:
                    continue
                return launched
            self._engine.begin(self._me.org, record.id, definition, pipeline)
            return record.id

    def _check_plan(self, origin: Origin | GitOrigin | None, ahead: int) -> None:
        """Check that the plan has room for a launch, and for those that wait before it."""
        plan = self._records.orgs.plan(self._me.org)
        active = self._records.store.count_active(self._me.org, plan.max_pipelines)
        if active + ahead >= plan.max_pipelines:
            before = f" (before it in the queue: {ahead})" if ahead else ""
            raise PlanFullError(
                f"the plan {plan.name!r} allows {plan.max_pipelines} active pipelines, "
                f"{active} are active{before}; wait for one to end, pause one, or "
                f"{self._installation.remedies().larger_plan()}"
            )
        if isinstance(origin, Origin):
            check_count(origin.parent, self._records.store.count_child(origin.parent))


def _facts(origin: Origin | GitOrigin | None) -> dict[str, object]:
    match origin:
        case Origin():
            return {"parent": origin.parent, "foreign_change": origin.foreign_change}
        case GitOrigin():
            return {"git": origin}
        case None:
            return {}


def _is_trusted(origin: Origin | GitOrigin | None, copied: PipelineRecord | None) -> bool:
    """Return whether a launch does not run code of a pull request from a fork."""
    is_fork = isinstance(origin, GitOrigin) and origin.untrusted
    return not is_fork and (copied is None or not is_untrusted(copied))


def _fork_of(copied: PipelineRecord | None) -> dict[str, object]:
    """Return the mark of a fork whose tree is copied: its copies do not get secrets either."""
    return {"git": copied.git} if copied is not None and is_untrusted(copied) else {}


def _has_begun(live: CloudPipeline) -> bool:
    return live.record.armed or live.started is not None
