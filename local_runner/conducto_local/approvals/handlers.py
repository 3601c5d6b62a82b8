"""Decisions about approvals."""

import getpass
import time
from contextvars import ContextVar

from conducto_core.api.serve import serves
from conducto_core.approvals import operations
from conducto_core.approvals.handlers import (
    check_decision,
    decision_end,
    decision_of,
    waiting_for,
)
from conducto_core.approvals.model import DecideApproval
from conducto_core.approvals.rules import Decider
from conducto_core.people.model import Role
from conducto_core.run import views
from conducto_core.run.model import events as ev
from conducto_core.run.model.params import PipelineParams
from conducto_core.run.model.records import ApprovalDecision, AttemptRecord
from conducto_core.run.model.responses import ApprovalList
from conducto_core.run.model.states import Cause
from conducto_local.run.access import LocalAccess
from conducto_local.run.live_pipeline import LivePipeline

#: The caller of a request that came through the link; None: the user of this machine.
DECIDER: ContextVar[Decider | None] = ContextVar("decider", default=None)


def current_decider() -> Decider:
    """Return the caller of the request; the user of this machine is its owner."""
    return DECIDER.get() or Decider(getpass.getuser(), Role.OWNER)


class LocalApprovals(LocalAccess):
    """Decisions of the user of this machine, who is its owner."""

    @serves(operations.APPROVALS)
    async def list_approvals(self) -> ApprovalList:
        """Return the approvals that wait; a pipeline with one is in memory."""
        user, role, _ = current_decider()
        waiting = (views.summary(live) for live in self._scheduler.live.values() if live.asked)
        return ApprovalList(approvals=waiting_for(waiting, user, role))

    @serves(operations.DECIDE_APPROVAL)
    async def decide_approval(
        self, params: PipelineParams, request: DecideApproval
    ) -> AttemptRecord:
        live = self.live(params.id)
        user, role, _ = current_decider()
        node = check_decision(live, request, user, role)
        self._store.check_room()
        with live.in_use():
            attempt = self._decide(live, node.path, decision_of(node, request, user, time.time()))
            await self._scheduler.saved(wait=False)
        return attempt

    def _decide(self, live: LivePipeline, path: str, decision: ApprovalDecision) -> AttemptRecord:
        active = live.active_attempts[path]
        active.result = decision_end(decision)
        cause = None if decision.approved else Cause.REJECTED
        ended = ev.AttemptFinished(path, active.number, cause, known=decision.values)
        self._scheduler.apply(live, ended)
        return live.attempt(path, active.number)
