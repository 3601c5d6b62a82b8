"""Decisions about approvals."""

import getpass
import time
from contextvars import ContextVar

from conducto_core.api.approvals import check_decision, decision_of, waiting_for
from conducto_core.api.queries import views
from conducto_core.model.approvals import DecideApproval
from conducto_core.model.labels import decision_text
from conducto_core.model.params import PipelineParams
from conducto_core.model.people import Role
from conducto_core.model.records import ApprovalDecision, AttemptRecord
from conducto_core.model.responses import ApprovalList
from conducto_core.model.states import Cause
from conducto_core.semantics import events as ev
from conducto_core.semantics.attempt_end import AttemptEnd
from conducto_local.api.access import LocalAccess
from conducto_local.scheduling.live_pipeline import LivePipeline

#: The person who sent the request through the link; None: the user of this machine.
DECIDER: ContextVar[str | None] = ContextVar("decider", default=None)


class LocalApprovals(LocalAccess):
    """Decisions of the user of this machine, who is its owner."""

    async def list_approvals(self) -> ApprovalList:
        """Return the approvals that wait; a pipeline with one is in memory."""
        user = DECIDER.get() or getpass.getuser()
        waiting = (views.summary(live) for live in self._scheduler.live.values() if live.asked)
        return ApprovalList(approvals=waiting_for(waiting, user, Role.OWNER))

    async def decide_approval(
        self, params: PipelineParams, request: DecideApproval
    ) -> AttemptRecord:
        """Decide an approval; return its attempt."""
        live = self.live(params.id)
        user = DECIDER.get() or getpass.getuser()
        node = check_decision(live, request, user, Role.OWNER)
        self._store.check_room()
        with live.in_use():
            attempt = self._decide(live, node.path, decision_of(request, user, time.time()))
            await self._scheduler.saved(wait=False)
        return attempt

    def _decide(self, live: LivePipeline, path: str, decision: ApprovalDecision) -> AttemptRecord:
        active = live.active_attempts[path]
        message = None if decision.approved else decision_text(decision)
        active.result = AttemptEnd(message=message, decision=decision)
        cause = None if decision.approved else Cause.REJECTED
        self._scheduler.apply(live, ev.AttemptFinished(path, active.number, cause))
        return live.attempt(path, active.number)
