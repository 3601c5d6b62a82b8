"""Decisions about approvals, on both targets."""

from collections.abc import Callable, Iterable

from conducto.wire.approvals import check_values
from conducto.wire.printable import shell_word
from conducto_core.approvals.model import DecideApproval
from conducto_core.approvals.rules import Decider, bypassed, deciders, may_decide
from conducto_core.errors import RefusedError, invalid, no_node
from conducto_core.people.model import Role
from conducto_core.results.model import OutputSummary
from conducto_core.results.rules import form_result
from conducto_core.run.model.labels import decision_text
from conducto_core.run.model.records import ApprovalDecision, Lifecycle
from conducto_core.run.model.requests import ControlRequest, PipelineSummary
from conducto_core.run.model.responses import AskedApproval
from conducto_core.run.model.states import Cause, State
from conducto_core.run.rules.live_nodes import LiveExec
from conducto_core.run.rules.outcomes import AttemptEnd
from conducto_core.run.views import Viewed


def waiting_for(
    summaries: Iterable[PipelineSummary], user: str, role: Role | None
) -> tuple[AskedApproval, ...]:
    """Return the approvals of pipelines that a person may decide, the oldest first.

    Args:
        summaries: The pipelines.
        user: The person's user id.
        role: The person's current role.
    """
    found = (
        AskedApproval(
            pipeline=one.pipeline.id, title=one.pipeline.title, agent=one.agent, approval=approval
        )
        for one in summaries
        for approval in one.approvals
        if may_decide(approval, user, role)
    )
    return tuple(sorted(found, key=lambda one: one.approval.since))


def check_decision(live: Viewed, request: DecideApproval, user: str, role: Role | None) -> LiveExec:
    """Return the approval that a person may decide now.

    Raises:
        NotFoundError: the path is not in the tree.
        RefusedError: the node does not wait for this person's decision.
    """
    node = live.tree.nodes.get(request.path)
    if node is None:
        raise no_node(live.id, request.path)
    approval = node.spec.approval
    if approval is None or not isinstance(node, LiveExec):
        raise RefusedError(f"{node.path}: is not an approval", node.path)
    if live.record.lifecycle is Lifecycle.ARCHIVED:
        raise RefusedError(
            f"{node.path}: its pipeline {live.id} is archived, so nothing waits for a decision; "
            f"to be asked again, wake and run it: conducto wake {live.id}",
            node.path,
        )
    if node.state is not State.QUEUED:
        raise RefusedError(f"{node.path}: waits for no decision, {_status(node)}", node.path)
    if request.attempt not in (None, node.attempt):
        raise RefusedError(
            f"{node.path}: attempt {request.attempt} waits no longer; look at attempt "
            f"{node.attempt} before you decide it",
            node.path,
        )
    if not may_decide(approval, user, role):
        raise RefusedError(
            f"{node.path}: {user} may not decide it; ask {deciders(approval)}", node.path
        )
    withdrawn = live.withdrawn.get(node.path)
    if withdrawn and request.approve and request.attempt is None:
        raise RefusedError(
            f"{node.path}: it was asked again, and the question before was {withdrawn[-1]}; look "
            f"at it, then name the attempt that you approve: conducto approve {live.id} "
            f"{shell_word(node.path)} --attempt {node.attempt}",
            node.path,
        )
    return node


def check_not_bypassed(
    live: Viewed, request: ControlRequest, decider: Callable[[], Decider]
) -> None:
    """Check that an action on nodes leads around no approval without the right to decide it.

    Args:
        live: The pipeline.
        request: The action, with the paths of all nodes that it affects.
        decider: Returns the caller; only called if there is such an approval.

    Raises:
        RefusedError: the caller may not decide an approval that the action skips or changes, or
            whose wait it ends.
    """
    caller: Decider | None = None
    for path, approval in bypassed(live.tree, request):
        caller = caller or decider()
        if not may_decide(approval, caller.user, caller.role):
            who = "a program's token" if caller.role is None else caller.user
            raise RefusedError(
                f"{path}: is an approval that {who} may not decide, so it may not "
                f"{request.action} it, or a group with it; ask {deciders(approval)}",
                path,
            )


def _status(node: LiveExec) -> str:
    if node.state is State.PENDING:
        return "it is not its turn"
    return {None: "it is approved", Cause.REJECTED: "it is rejected"}.get(
        node.cause, f"it is {node.state.value}"
    )


def decision_of(node: LiveExec, request: DecideApproval, user: str, now: float) -> ApprovalDecision:
    """Return the decision about a node that `check_decision` returned.

    Raises:
        InvalidError: the values do not fit the form.
    """
    comment = (request.comment or "").strip() or None
    form = () if node.spec.approval is None else node.spec.approval.fields
    values = None
    if not request.approve and request.values:
        raise invalid(node.path, "a rejection has no values; leave them out")
    if request.approve and (form or request.values):
        try:
            values = check_values(form, request.values)
        except ValueError as error:
            raise invalid(node.path, str(error)) from error
    return ApprovalDecision(
        approved=request.approve, by=user, time=now, comment=comment, values=values
    )


def decision_end(decision: ApprovalDecision) -> AttemptEnd:
    """Return the facts of an attempt that a decision ends; a form's values are its result."""
    message = None if decision.approved else decision_text(decision)
    size = len(form_result(decision.values))
    outputs = OutputSummary(result=size) if decision.values is not None else None
    return AttemptEnd(message=message, decision=decision, outputs=outputs)
