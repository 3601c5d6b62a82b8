"""The operations of `CloudPipelines` that change a pipeline."""

import asyncio
from collections.abc import Iterable, Mapping
from secrets import token_hex
from typing import Any

from chalicelib.api.caller import CloudCaller
from chalicelib.api.callers import check_decider, is_program
from chalicelib.billing.metering import check_usage
from chalicelib.cache.lineage import files_of_commands
from chalicelib.images.builds import known_sources
from chalicelib.remote.handlers import decidable_summaries
from chalicelib.run.launching import check_sent
from chalicelib.run.model import ActionRequested, ApprovalDecided, BuiltImage, Input
from chalicelib.run.rules.launch_validation import used_images, validate_nodes
from chalicelib.run.rules.pipeline import CloudPipeline
from conducto_core.api.serve import serves
from conducto_core.approvals import operations as approvals_operations
from conducto_core.approvals.handlers import check_decision, decision_of, waiting_for
from conducto_core.approvals.model import DecideApproval
from conducto_core.approvals.rules import Decider
from conducto_core.budgets.rules import too_low
from conducto_core.cache.lineage import AttemptFiles, stale_paths
from conducto_core.errors import invalid
from conducto_core.images.model import ImageSources
from conducto_core.people.model import Role
from conducto_core.people.rules import role_with
from conducto_core.run import operations as run_operations
from conducto_core.run import views
from conducto_core.run.launching import (
    check_action,
    done_on_nodes,
    edits_of,
    preview_of_nodes,
    preview_of_whole,
)
from conducto_core.run.model.params import PipelineParams
from conducto_core.run.model.records import AttemptRecord
from conducto_core.run.model.requests import STARTS, WHOLE, Action, ControlRequest, ControlResult
from conducto_core.run.model.responses import ApprovalList, AskedApproval, DeletedPipeline
from conducto_core.run.model.states import NodeType
from conducto_core.secrets.rules import is_untrusted

#: Actions that start commands immediately if the pipeline is running.
_RERUNS = frozenset({Action.RESET, Action.UNSKIP, Action.MODIFY})


class CloudActions(CloudCaller):
    """Actions on nodes and pipelines, and deletion."""

    @serves(run_operations.CONTROL)
    async def control(self, params: PipelineParams, request: ControlRequest) -> ControlResult:
        """Apply an action to a set of nodes, or to none of them if one is invalid."""
        check_sent(request.sources)
        return await asyncio.to_thread(self._control, params.id, request)

    def _control(self, pipeline_id: str, request: ControlRequest) -> ControlResult:
        results: list[ControlResult] = []

        def decide(live: CloudPipeline) -> Input | None:
            asked = check_action(live, request, self._decider)
            if request.action in WHOLE:
                results.append(preview_of_whole(live, asked.action))
            else:
                results.append(preview_of_nodes(live, asked))
                if not asked.paths:  # nothing failed
                    return None
            order = self._action_entry(live, asked)
            return None if request.preview else order

        id_ = self._owned(pipeline_id)
        if request.stale:
            stale = stale_paths(self.cached_command_files(id_), request.paths)
            if not stale:
                return ControlResult(preview=request.preview)
            request = request.model_copy(update={"paths": stale, "stale": False})
        if request.action is Action.ARCHIVE and not request.preview:
            # Close shells first: archiving deletes the EFS access point.
            self._shells.end_all(id_, "its pipeline was archived")
        self._submit(id_, decide)
        nothing_failed = (request.failed or request.stale) and not results[-1].affected
        if request.preview or nothing_failed:
            return results[-1].model_copy(update={"preview": request.preview})
        with self._engine.seen(self._me.org, id_) as live:
            return done_on_nodes(live, request, results[-1])

    def cached_command_files(self, pipeline_id: str) -> list[AttemptFiles]:
        """Return the files of cached commands, in the order of the tree."""
        with self._engine.reading(self._me.org, self._owned(pipeline_id)) as live:
            return files_of_commands(self._records, self._storage, live)

    def _decider(self) -> Decider:
        program = is_program(self._records.tokens, self._records.people, self._me)
        return Decider(self._me.user, None if program else role_with(self._me.permissions))

    def _action_entry(self, live: CloudPipeline, request: ControlRequest) -> ActionRequested:
        """Return the journal entry of an action; raises an error if the action is invalid."""
        starts = request.action is Action.RUN or request.action in STARTS
        if starts or (request.action in _RERUNS and live.record.armed):
            check_usage(
                self._records,
                self._installation.remedies,
                self._timing.clock,
                self._me.org,
            )
        edits: dict[str, dict[str, Any]] = {}
        images: tuple[BuiltImage, ...] = ()
        if request.action is Action.MODIFY:
            edits, images = self._edits(live, request)
        if request.action is Action.REBUILD:
            images = self._rebuilt(live, request)
        return ActionRequested(
            time=self._timing.clock(),
            action=request.action,
            paths=request.paths,
            edits=edits,
            images=images,
            by=self._me.user,
            assistant=self._me.actor.assistant,
        )

    def _edits(
        self, live: CloudPipeline, request: ControlRequest
    ) -> tuple[dict[str, dict[str, Any]], tuple[BuiltImage, ...]]:
        """Return the complete edits of each node, and the images that no node has used yet."""
        edits = edits_of(live, request)
        pipeline = live.resolved({**live.edits, **edits})
        buckets = self._installation.buckets_of(live.org, trusted=not is_untrusted(live.record))
        validate_nodes(pipeline.nodes, self._records.orgs.plan(live.org), buckets)
        given = set() if request.changes is None else request.changes.model_fields_set
        for path in edits if "budget" in given else ():
            budget = pipeline.nodes[path].budget
            reason = None if budget is None else too_low(path, budget, live.cost_of(path))
            if reason is not None:
                raise invalid(path, reason)
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

    @serves(approvals_operations.APPROVALS)
    async def list_approvals(self) -> ApprovalList:
        """Return the approvals that the caller may decide; none for a program's token."""
        return ApprovalList(approvals=await asyncio.to_thread(self._approvals))

    def _approvals(self) -> tuple[AskedApproval, ...]:
        me = self._me
        if is_program(self._records.tokens, self._records.people, me):
            return ()
        own = map(views.stored_summary, self._records.store.asking_pipelines(me.org))
        found = waiting_for(own, me.user, role_with(me.permissions))
        # The user of a machine is its owner.
        found += waiting_for(
            decidable_summaries(self._records, self._timing.clock, me), me.user, Role.OWNER
        )
        return tuple(sorted(found, key=lambda one: one.approval.since))

    @serves(approvals_operations.DECIDE_APPROVAL)
    async def decide_approval(
        self, params: PipelineParams, request: DecideApproval
    ) -> AttemptRecord:
        """Decide an approval as a member; a program's token is refused."""
        return await asyncio.to_thread(self._decide, params.id, request)

    def _decide(self, pipeline_id: str, request: DecideApproval) -> AttemptRecord:
        user = self._me.user
        check_decider(self._records, self._me, request.path)
        role = role_with(self._me.permissions)
        decided: list[int] = []

        def decide(live: CloudPipeline) -> Input:
            node = check_decision(live, request, user, role)
            decided.append(node.attempt)
            now = self._timing.clock()
            decision = decision_of(node, request, user, now)
            return ApprovalDecided(
                time=now, path=node.path, attempt=node.attempt, decision=decision
            )

        id_ = self._owned(pipeline_id)
        self._submit(id_, decide)
        attempts = self._records.store.attempts(id_, request.path)
        return next(one for one in attempts if one.number == decided[-1])

    @serves(run_operations.DELETE)
    async def delete_pipeline(self, params: PipelineParams) -> DeletedPipeline:
        """Delete a pipeline; raises `DeletionRunningError` until it is finished."""
        return await asyncio.to_thread(self._delete, params.id)

    def _delete(self, pipeline_id: str) -> DeletedPipeline:
        id_ = self._owned(pipeline_id)
        self._deletion.request(self._me.org, id_, self._me.user)
        return DeletedPipeline(id=id_)
