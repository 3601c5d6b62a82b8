"""The `Pipelines` port in the cloud, for one caller.

Every operation is limited to pipelines of the caller's organisation; others are not found.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from itertools import islice
from secrets import token_hex
from typing import Any, TypeVar

from chalicelib.api.browser_login import BrowserLogin
from chalicelib.api.data import CloudData
from chalicelib.api.logs import LOOK_EVERY, LogQueries
from chalicelib.api.read_model import CloudReadModel, steps_of
from chalicelib.domain.events import ActionRequested, BuiltImage, ImagesUpdated, Input
from chalicelib.domain.launch_validation import used_images, validate_nodes
from chalicelib.domain.pipeline import CloudPipeline
from chalicelib.domain.pipeline_state import define
from chalicelib.ports.errors import ConflictError
from chalicelib.ports.identity import Identity, Plan
from chalicelib.ports.journal import CloudRecord
from chalicelib.services.debug_plans import CloudDebug
from chalicelib.services.debug_sessions import DebugSessions
from chalicelib.services.deletion import PipelineDeletion
from chalicelib.services.event_push import batch_after
from chalicelib.services.followers import Followers
from chalicelib.services.image_builds import ImageBuilds, chunk_of, known_sources
from chalicelib.services.metering import check_usage
from chalicelib.services.processor import CommandProcessor
from chalicelib.services.s3_transfer import new_key
from chalicelib.services.secrets import VaultSecrets
from chalicelib.services.slots import Decide
from conducto.version import __version__
from conducto_core.api.action_checks import check_action, edits_of, preview_of_whole
from conducto_core.api.launching import TRIED_IDS, ids_for, is_of_launch, new_record
from conducto_core.api.pipelines import Pipelines
from conducto_core.api.queries import listing, secret_queries, views
from conducto_core.api.queries import pipelines as queries
from conducto_core.api.queries.lookup import resolve_id
from conducto_core.api.queries.relaunch import launch_request
from conducto_core.api.queries.usage_reports import (
    dearest,
    months_before,
    usage_report,
    uses_by_node,
    with_nodes,
)
from conducto_core.errors import NotFoundError, RefusedError, no_image
from conducto_core.model.image_sources import ImageSources
from conducto_core.model.node_detail import NodeDetail
from conducto_core.model.nodes import Pipeline
from conducto_core.model.operations.cloud import (
    ContextsMissing,
    ContextsWanted,
    OwnBuilds,
    SessionEnd,
    SessionToken,
    WhoAmI,
)
from conducto_core.model.params import (
    ImageLogParams,
    ListParams,
    NodeParams,
    PipelineParams,
    StatesParams,
    TreeParams,
)
from conducto_core.model.records import AttemptRecord, ImageState, PipelineRecord
from conducto_core.model.remote_shells import (
    RemoteShell,
    RemoteShellEnd,
    RemoteShellEntry,
    RemoteShellParams,
    RemoteShellRequest,
)
from conducto_core.model.requests import (
    WHOLE,
    Action,
    AgentStatus,
    ControlRequest,
    ControlResult,
    EventBatch,
    LaunchRequest,
    NodeStates,
    PipelineSummary,
    TreePage,
)
from conducto_core.model.responses import (
    AttemptList,
    DeletedPipeline,
    ImageLog,
    Login,
    PipelineList,
)
from conducto_core.model.secrets import DeleteSecrets, PutSecrets, SecretList
from conducto_core.model.states import NodeType
from conducto_core.model.usage import PipelineSpent, Usage, UsageParams
from conducto_core.model.worker import UploadResponse
from conducto_core.semantics.actions import named, preview
from conducto_core.semantics.fargate import largest_mem
from conducto_core.semantics.resolve import resolve

_PAGE = 200
#: Lifetime of upload URLs for directories, in seconds; the client packs directories in sequence.
UPLOAD_SECONDS = 3600
#: Actions that start commands immediately if the pipeline is running.
_RERUNS = frozenset({Action.RESET, Action.REBUILD, Action.UNSKIP, Action.MODIFY})
R = TypeVar("R")


class CloudPipelines(CloudData, CloudDebug, LogQueries, Pipelines):
    """The pipelines of one organisation, with the permissions of one caller."""

    def __init__(self, engine: CommandProcessor, identity: Identity) -> None:
        self._engine = engine
        self._cloud = engine.cloud
        self._me = identity
        self._builds = ImageBuilds(engine.cloud)
        self._read_model = CloudReadModel(engine.cloud.store)
        self._shells = DebugSessions(engine)
        cloud = engine.cloud
        close = Followers(cloud.connections, cloud.tokens).close_of
        self._sign_in = BrowserLogin(cloud.tokens, cloud.web_app, cloud.clock, close)

    async def who_am_i(self) -> WhoAmI:
        """Return the caller's identity and plan."""
        plan = self._cloud.orgs.plan(self._me.org)
        return WhoAmI(
            org=self._me.org,
            user=self._me.user,
            permissions=tuple(sorted(self._me.permissions)),
            plan=plan.name,
            version=__version__,
            max_workers=plan.max_workers,
            max_cpu=plan.max_cpu,
        )

    async def make_login(self) -> Login:
        """Return a one-time address of the web app."""
        return self._sign_in.make_login(self._me)

    async def start_session(self) -> SessionToken:
        """Exchange a code for the token of a browser session."""
        return self._sign_in.start(self._me)

    async def end_session(self) -> SessionEnd:
        """End the caller's session."""
        return self._sign_in.end(self._me)

    async def upload_body(self) -> UploadResponse:
        """Return a URL for uploading a body that is too large for a request."""
        key = new_key(self._me)
        return UploadResponse(url=self._cloud.blobs.upload_url(key), key=key)

    async def upload_contexts(self, wanted: ContextsWanted) -> ContextsMissing:
        """Return upload URLs for the directories that are not in the bucket yet."""
        missing = self._builds.wanted_contexts(self._me.org, wanted.contexts)
        return ContextsMissing(
            missing={
                digest: self._cloud.blobs.upload_url(key, seconds=UPLOAD_SECONDS)
                for digest, key in missing
            }
        )

    async def own_builds(self, request: LaunchRequest) -> OwnBuilds:
        """Return the images of a launch that the client must build itself."""
        return await asyncio.to_thread(self._own_builds, request)

    def _own_builds(self, request: LaunchRequest) -> OwnBuilds:
        pipeline = resolve(request.tree)
        plan = self._cloud.orgs.plan(self._me.org)
        validate_nodes(pipeline.nodes, plan)
        used = [pipeline.images[name] for name in used_images(pipeline)]
        return self._builds.for_own(self._me, used, request.sources)

    # ---- launch -------------------------------------------------------------------------------

    async def launch(
        self, request: LaunchRequest, key: str | None = None, *, repeated: bool = False
    ) -> PipelineSummary:
        """Validate, resolve and store a pipeline, and start it if requested."""
        # Users may choose equal keys.
        own = None if key is None else f"{self._me.org}/{self._me.user}/{key}"
        return await asyncio.to_thread(self._launch, request, own, repeated=repeated)

    def _launch(
        self, request: LaunchRequest, key: str | None, *, repeated: bool
    ) -> PipelineSummary:
        launched = self._launched(key) if repeated and key is not None else None
        if launched is None and (request.run or request.run_at is not None):
            check_usage(self._cloud.orgs, self._me.org, self._cloud.clock())
        if request.engine != "docker":
            raise RefusedError(f"engine={request.engine!r} runs locally only; leave it out")
        pipeline = resolve(request.tree)
        plan = self._cloud.orgs.plan(self._me.org)
        validate_nodes(pipeline.nodes, plan)
        if launched is None:
            self._check_plan(plan)
        used = [pipeline.images[name] for name in used_images(pipeline)]
        images = self._builds.prepare(self._me.org, used, request.sources)
        now = self._cloud.clock()
        mine = request.model_copy(update={"owner": self._me.user})
        pipeline_id = launched or self._create(mine, pipeline, now, key)
        # Do not repeat steps that an earlier request has completed.
        moved = ImagesUpdated(time=now, images=images)
        self._submit(pipeline_id, lambda live: None if live.number else moved)
        if request.run:
            run = ActionRequested(time=now, action=Action.RUN, by=self._me.user)
            self._submit(pipeline_id, lambda live: None if _has_begun(live) else run)
        with self._engine.reading(self._me.org, pipeline_id) as live:
            return views.summary(live)

    def _launched(self, key: str) -> str | None:
        """Return the pipeline that an earlier request with this key created, or None."""
        for pipeline_id in islice(ids_for(key), TRIED_IDS):
            try:
                with self._engine.reading(self._me.org, pipeline_id) as live:
                    record = live.record
            except NotFoundError:
                continue
            if is_of_launch(record, self._me.user, self._cloud.clock()):
                return pipeline_id
        return None

    def _create(
        self, request: LaunchRequest, pipeline: Pipeline, now: float, key: str | None
    ) -> str:
        ids = ids_for(key)
        while True:
            record = new_record(next(ids), request, pipeline, mode="cloud", now=now)
            try:
                maximum = largest_mem(self._cloud.orgs.plan(self._me.org).max_cpu)
                definition = define(record, request.tree, request.sources, max_mem=maximum)
                self._cloud.store.create(CloudRecord(self._me.org, record), definition)
            except ConflictError:
                # Created by another organisation, or by a concurrent request with this key.
                launched = None if key is None else self._launched(key)
                if launched is None:
                    continue
                return launched
            return record.id

    def _check_plan(self, plan: Plan) -> None:
        active = sum(1 for record in self._records() if not record.status.settled)
        if active >= plan.max_pipelines:
            raise RefusedError(
                f"the plan {plan.name!r} allows {plan.max_pipelines} active pipelines, "
                f"{active} are active; wait for one to end, pause one, or choose a larger plan"
            )

    # ---- reading ------------------------------------------------------------------------------

    async def list_pipelines(self, params: ListParams) -> PipelineList:
        """Return a page of pipelines, the newest first."""
        summaries = map(views.stored_summary, self._records())
        return await asyncio.to_thread(listing.page, summaries, params)

    async def get_pipeline(self, params: PipelineParams) -> PipelineSummary:
        """Return one pipeline by its id or an unambiguous prefix of it."""
        id_ = await asyncio.to_thread(self._looked_at, params.id)
        return await self._read(id_, views.summary)

    async def delete_pipeline(self, params: PipelineParams) -> DeletedPipeline:
        """Delete a pipeline; raises `DeletionRunningError` until it is finished."""
        return await asyncio.to_thread(self._delete, params.id)

    def _delete(self, pipeline_id: str) -> DeletedPipeline:
        id_ = self._id(pipeline_id)
        PipelineDeletion(self._engine).request(self._me.org, id_, self._me.user)
        return DeletedPipeline(id=id_)

    async def get_definition(self, params: PipelineParams) -> LaunchRequest:
        """Return the definition as it was launched."""

        def look(live: CloudPipeline) -> LaunchRequest:
            launch = launch_request(live.record, live.form)
            return launch.model_copy(update={"sources": live.sources})

        return await self._read(params.id, look)

    def _looked_at(self, pipeline_id: str) -> str:
        id_ = self._id(pipeline_id)
        self._engine.watch.look(self._me.org, id_)
        return id_

    async def get_tree(self, params: TreeParams) -> TreePage:
        """Return the nodes of a subtree down to a depth, or those that match a search."""
        page = await self._read(
            params.id, lambda live: queries.tree_page(self._read_model, live, params)
        )
        if not params.tails:
            return page
        return page.model_copy(update={"nodes": await self.with_tails(params.id, page.nodes)})

    async def get_states(self, params: StatesParams) -> NodeStates:
        """Return the state of each Exec of a subtree, one letter each."""
        return await self._read(params.id, lambda live: queries.node_states(live, params))

    async def get_node(self, params: NodeParams) -> NodeDetail:
        """Return the details of one node."""
        return await self._read(
            params.id, lambda live: queries.node_detail(self._read_model, live, params.path)
        )

    async def list_attempts(self, params: NodeParams) -> AttemptList:
        """Return every attempt of a node, oldest first."""
        return AttemptList(attempts=await self._attempts_at(params.id, params.path))

    async def _attempts_at(self, pipeline_id: str, path: str) -> tuple[AttemptRecord, ...]:
        return await self._read(
            pipeline_id, lambda live: queries.attempts_of(self._read_model, live, path)
        )

    async def read_image_log(self, query: ImageLogParams) -> ImageLog:
        """Return a chunk of the log of an image's latest build."""
        end = self._cloud.clock() + query.wait
        while True:
            chunk = await asyncio.to_thread(self._image_log, query)
            if chunk.text or chunk.complete or self._cloud.clock() >= end:
                return chunk
            await asyncio.sleep(LOOK_EVERY)

    def _image_log(self, query: ImageLogParams) -> ImageLog:
        id_ = self._looked_at(query.id)
        with self._engine.reading(self._me.org, id_) as live:
            known = live.images.get(query.image)
            if known is None:
                raise no_image(id_, query.image, live.images)
            built, record = known.built, known.record
        complete = record.state in (ImageState.DONE, ImageState.ERROR)
        if built is None or built.tag is None:
            return chunk_of(b"", query.offset, query.limit, complete=complete)
        steps = steps_of(self._builds.told(self._me.org, built), record)
        log = self._builds.log(self._me.org, built)
        return chunk_of(log, query.offset, query.limit, complete=complete, steps=steps)

    async def changes(self, pipeline_id: str, cursor: int) -> AsyncIterator[EventBatch]:
        """Yield the changes after ``cursor``, then new ones as they occur."""
        seen = -1
        while True:
            batch, seen = await asyncio.to_thread(self._batch, pipeline_id, cursor, seen)
            if batch is not None:
                yield batch
                cursor = batch.changes[-1].seq if batch.changes else cursor
            else:
                await asyncio.sleep(LOOK_EVERY)

    def _batch(self, pipeline_id: str, cursor: int, seen: int) -> tuple[EventBatch | None, int]:
        with self._engine.reading(self._me.org, pipeline_id) as live:
            return batch_after(self._cloud, live, cursor, seen), live.number

    # ---- actions ------------------------------------------------------------------------------

    async def control(self, params: PipelineParams, request: ControlRequest) -> ControlResult:
        """Apply an action to a set of nodes, or to none of them if one is invalid."""
        return await asyncio.to_thread(self._control, params.id, request)

    def _control(self, pipeline_id: str, request: ControlRequest) -> ControlResult:
        results: list[ControlResult] = []

        def decide(live: CloudPipeline) -> Input | None:
            check_action(live, request)
            if request.action in WHOLE:
                asked = request
                results.append(preview_of_whole(live, asked.action))
            else:
                asked = named(live.tree, request)
                results.append(preview(live.tree, asked.action, asked.paths))
                if not asked.paths:  # nothing failed
                    return None
            order = self._order(live, asked)
            return None if request.preview else order

        id_ = self._id(pipeline_id)
        if request.action is Action.ARCHIVE and not request.preview:
            # Close shells first: archiving deletes the EFS access point.
            self._shells.end_all(id_, "its pipeline was archived")
        self._submit(id_, decide)
        return results[-1].model_copy(update={"preview": request.preview})

    def _order(self, live: CloudPipeline, request: ControlRequest) -> ActionRequested:
        """Return the journal entry of an action; raises an error if the action is invalid."""
        if request.action is Action.RUN or (request.action in _RERUNS and live.record.armed):
            check_usage(self._cloud.orgs, self._me.org, self._cloud.clock())
        edits: dict[str, dict[str, Any]] = {}
        images: tuple[BuiltImage, ...] = ()
        if request.action is Action.MODIFY:
            edits, images = self._edits(live, request)
        if request.action is Action.REBUILD:
            images = self._rebuilt(live, request)
        return ActionRequested(
            time=self._cloud.clock(),
            action=request.action,
            paths=request.paths,
            edits=edits,
            images=images,
            by=self._me.user,
        )

    def _edits(
        self, live: CloudPipeline, request: ControlRequest
    ) -> tuple[dict[str, dict[str, Any]], tuple[BuiltImage, ...]]:
        """Return the complete edits of each node, and the images that no node has used yet."""
        edits = edits_of(live, request)
        pipeline = live.resolved({**live.edits, **edits})
        validate_nodes(pipeline.nodes, self._cloud.orgs.plan(live.org))
        names = [name for name in used_images(pipeline) if not live.has_image(name)]
        return edits, self._prepared(live, names, live.sources)

    def _rebuilt(self, live: CloudPipeline, request: ControlRequest) -> tuple[BuiltImage, ...]:
        below = [live.tree.nodes[path] for path in request.paths]
        names = dict.fromkeys(
            node.spec.placement.image
            for each in below
            for node in live.tree.subtree(each)
            if node.spec.type is NodeType.EXEC
        )
        return self._prepared(live, names, {**live.sources, **request.sources}, salt=token_hex(8))

    def _prepared(
        self,
        live: CloudPipeline,
        names: Iterable[str],
        sources: Mapping[str, ImageSources],
        *,
        salt: str = "",
    ) -> tuple[BuiltImage, ...]:
        images = [live.pipeline.images[name] for name in names]
        known = known_sources(images, live.pipeline.images, sources)
        return self._builds.prepare(live.org, images, known, salt=salt)

    # ---- shells on workers --------------------------------------------------------------------

    async def open_remote_shell(
        self, params: PipelineParams, request: RemoteShellRequest
    ) -> RemoteShell:
        """Request a worker for a debug shell."""
        return self._shells.open(self._me, self._id(params.id), request)

    async def enter_remote_shell(self, params: RemoteShellParams) -> RemoteShellEntry:
        """Return the shell's endpoint, or the reason why it is not ready."""
        return self._shells.enter(self._me, params.id, params.shell)

    async def end_remote_shell(self, params: RemoteShellParams) -> RemoteShellEnd:
        """Close a debug shell and stop its worker."""
        return self._shells.end(self._me, params.id, params.shell)

    # ---- secrets ------------------------------------------------------------------------------

    async def list_secrets(self) -> SecretList:
        """List the secrets of the caller and of the organisation, without values."""
        return await asyncio.to_thread(secret_queries.listing, self._secrets())

    async def put_secrets(self, request: PutSecrets) -> SecretList:
        """Store secrets; commands that start later receive them."""
        return await asyncio.to_thread(self._put_secrets, request)

    def _put_secrets(self, request: PutSecrets) -> SecretList:
        return secret_queries.put(self._secrets(), request, local=False)

    async def delete_secrets(self, request: DeleteSecrets) -> SecretList:
        """Delete secrets; commands that start later do not receive them."""
        return await asyncio.to_thread(secret_queries.delete, self._secrets(), request)

    def _secrets(self) -> VaultSecrets:
        return VaultSecrets(self._cloud.vault, self._me.org, self._me.user)

    def _owned(self, pipeline_id: str) -> str:
        return self._id(pipeline_id)

    def _note_change(self, pipeline_id: str, change: str) -> None:
        self._engine.note_change(self._me.org, pipeline_id, change, self._me.user)

    # ---- helpers ------------------------------------------------------------------------------

    async def get_usage(self, query: UsageParams) -> Usage:
        """Return the run time and cost of commands, including those of deleted pipelines."""
        return await asyncio.to_thread(self._usage, query)

    def _usage(self, query: UsageParams) -> Usage:
        org, orgs = self._me.org, self._cloud.orgs
        months = months_before(self._cloud.clock()) if query.month is None else (query.month,)
        report = usage_report(spent for month in months for spent in orgs.spent(org, month))
        if not query.nodes:
            return report
        named = [self._with_nodes(spent, query.nodes) for spent in dearest(report)]
        return usage_report([*named, *report.pipelines[len(named) :]])

    def _with_nodes(self, spent: PipelineSpent, maximum: int) -> PipelineSpent:
        if self._cloud.store.record(self._me.org, spent.id) is None:
            return spent  # the pipeline was deleted
        nodes = uses_by_node(self._cloud.store.attempts(spent.id), month=spent.month)
        return with_nodes(spent, nodes, maximum)

    async def get_agent(self) -> AgentStatus:
        """Return the status of the service, which has no process id."""
        records = await asyncio.to_thread(lambda: sum(1 for _ in self._records()))
        return AgentStatus(
            pid=0,
            url=self._cloud.url(),
            version=__version__,
            started=0.0,
            pipelines=records,
            socket=self._cloud.socket() or None,
            app=self._cloud.web_app() or None,
        )

    async def _read(self, pipeline_id: str, look: Callable[[CloudPipeline], R]) -> R:
        def read() -> R:
            with self._engine.reading(self._me.org, self._id(pipeline_id)) as live:
                return look(live)

        return await asyncio.to_thread(read)

    def _submit(self, pipeline_id: str, decide: Decide) -> None:
        self._engine.submit(self._me.org, pipeline_id, decide)

    def _records(self) -> Iterator[PipelineRecord]:
        after: str | None = None
        while True:
            page, after = self._cloud.store.records(self._me.org, after=after, limit=_PAGE)
            yield from page
            if after is None:
                return

    def _id(self, given: str) -> str:
        if self._cloud.store.record(self._me.org, given) is not None:
            return given
        return resolve_id(given, (record.id for record in self._records()))


def _has_begun(live: CloudPipeline) -> bool:
    return live.record.armed or live.started is not None
