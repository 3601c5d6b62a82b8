"""The loop of a worker: poll a task, claim it, run the command, report the result."""

import logging
from dataclasses import dataclass

from conducto_core.command.json_logs import log_fields
from conducto_core.command.usage import PeakMemory
from conducto_core.run.model.states import Cause
from conducto_core.workers.model import (
    Claim,
    ClaimDecision,
    ClaimResponse,
    Report,
    ReportResponse,
    WorkerEnd,
    WorkerInstructions,
)
from conducto_worker.agent.command import CommandResult, Execution, in_report
from conducto_worker.agent.heartbeats import HeartbeatSender
from conducto_worker.agent.log_shipper import LogShipper
from conducto_worker.agent.port import (
    Api,
    BrokenError,
    Clock,
    Commands,
    LostError,
    PolledTask,
    RefusedError,
    Tasks,
    WorkerApiError,
    WorkerGoneError,
)
from conducto_worker.agent.services import Services
from conducto_worker.agent.usage import Sampler
from conducto_worker.agent.views import Views

logger = logging.getLogger(__name__)

#: Seconds that the user's container may take to start; its image is pulled meanwhile.
READY_SECONDS = 900.0
#: Maximum size of a tree in a report, before base64 adds a third.
MAX_TREE_IN_REPORT = 2 << 20
#: Seconds of a poll before a report. GetActivityTask mostly takes 40 ms if tasks wait, and seldom
#: over 120: a poll that ends too early costs another request, and another input of the journal.
EARLY_POLL_SECONDS = 0.15
#: Seconds for which a backlog is known. For a longer command, a request less would save little.
BACKLOG_SECONDS = 30.0
#: Maximum number of commands between two such polls, after many that found nothing.
_MAX_GAP = 63
DISMISSED = "its pool has no further commands"
NOT_STOPPED = "a command could not be stopped; the worker exits with its container"
SERVICE_ENDED = "a service of its commands has ended or was not ready"


class WorkerExit(RuntimeError):  # noqa: N818  (not an error: it ends the loop)
    """The reason why the worker exits.

    Attributes:
        broken: The user's container cannot run commands.
        notify: Whether to report the exit to the API.
        offer: A task that was received and is returned.
    """

    def __init__(
        self, text: str, *, broken: bool = False, notify: bool = True, offer: Claim | None = None
    ) -> None:
        super().__init__(text)
        self.broken = broken
        self.notify = notify
        self.offer = offer


@dataclass(slots=True)
class _Held:
    """A task that the worker holds at the request of the API.

    Attributes:
        due: Time of the next claim.
        blocked: The whole pool has to wait.
    """

    claim: Claim
    due: float
    blocked: bool


class EarlyPolls:
    """Decides whether to poll before a report: after polls in vain, more and more rarely.

    So commands are hardly delayed if Step Functions needs longer than such a poll lasts.
    """

    def __init__(self) -> None:
        self._gap = self._left = 0

    def is_due(self) -> bool:
        """Return whether to poll before the report of a command that has ended."""
        self._left -= 1
        return self._left < 0

    def count(self, *, found: bool) -> None:
        self._gap = 0 if found else min(2 * self._gap + 1, _MAX_GAP)
        self._left = self._gap


class Worker:
    """A worker, which runs tasks until it has a reason to exit.

    While a full group blocks the whole pool, no task is fetched. A task that is held because its
    Exec is active elsewhere blocks nothing; it is claimed again between polls, so that the worker
    never has two commands to run.

    If its pool had a backlog a moment ago, the worker polls for a short time before the report of a
    command, and claims a task that it gets in the request of the report. If no task comes, the
    report is sent alone, and the poll is continued afterwards. Without a backlog it does not poll:
    the report may end the work of the pool, and a task that is sent to the poll of a worker that
    has exited is lost until its heartbeat is missed.
    """

    def __init__(
        self,
        api: Api,
        tasks: Tasks,
        commands: Commands,
        *,
        keeper: HeartbeatSender,
        shipper: LogShipper,
        sampler: Sampler,
        clock: Clock,
        services: Services,
        instructions: WorkerInstructions,
        views: Views | None = None,
    ) -> None:
        self._api = api
        self._tasks = tasks
        self._commands = commands
        self._heartbeats = keeper
        self._shipper = shipper
        self._sampler = sampler
        self._clock = clock
        self._services = services
        self._views = Views() if views is None else views
        self._instructions = instructions
        self._held: list[_Held] = []
        self._dismissed = self._aborted = False
        self._early = EarlyPolls()
        self._peak = PeakMemory()
        self._ran = 0
        self._born = self._idle_since = clock.now()

    def run(self) -> WorkerExit:
        """Work until there is a reason to exit; report and return the reason."""
        reason = self._work()
        logger.info("leaving: %s", reason)
        if reason.notify:
            try:
                self._api.end(
                    WorkerEnd(reason=str(reason), broken=reason.broken, offer=reason.offer)
                )
            except WorkerApiError as error:
                logger.warning("cannot report the exit: %s", error)
        return reason

    def _work(self) -> WorkerExit:
        try:
            self._commands.wait_ready(READY_SECONDS, lambda: self._clock.stopped_at is not None)
            self._idle_since = self._clock.now()
            while True:
                self._turn()
        except WorkerExit as reason:
            return reason
        except BrokenError as error:
            stopped = self._clock.stopped_at is not None
            return WorkerExit("stopping") if stopped else WorkerExit(str(error), broken=True)
        except (LostError, WorkerApiError) as error:
            # Skip the report. ECS knows why its container ended (out of memory, for example) and
            # notifies the API, and an unreachable API cannot be notified.
            return WorkerExit(str(error), notify=False)

    def _turn(self) -> None:
        self._held = [each for each in self._held if self._heartbeats.holds(each.claim.token)]
        if not self._tasks.open:  # otherwise a task might arrive while a command runs
            reason = self._reason_to_leave()
            if reason is not None:
                raise reason
            now = self._clock.now()
            if not self._held and now - self._idle_since >= self._instructions.idle:
                if not self._is_warm():
                    raise WorkerExit("idle", notify=False)
                self._idle_since = now
            if self._claim_held():
                return
        offer = self._tasks.poll(self._may_abort, leaving=self._dismissed)
        if offer is None:
            return
        if self._dismissed or self._clock.stopped_at is not None:
            # The poll was not aborted, but its task can be returned.
            raise WorkerExit("stopping", offer=_claim_of(offer))
        self._heartbeats.add_task(offer.token)
        self._decide(_claim_of(offer))

    def _claim_held(self) -> bool:
        """Claim held tasks; return whether one ran, or the pool is blocked: not to poll now."""
        for each in [each for each in self._held if each.due <= self._clock.now()]:
            self._held.remove(each)
            if self._decide(each.claim):
                return True
        blocking = [each.due for each in self._held if each.blocked]
        if blocking:
            self._clock.wait(max(0.0, min(blocking) - self._clock.now()))
        return bool(blocking)

    def _may_abort(self) -> bool:
        """Report that the worker stops, and return whether it may abort its poll."""
        try:
            self._aborted = not self._api.end(WorkerEnd(reason="stopping", polling=True)).wait
        except WorkerApiError as error:
            logger.warning("cannot report the exit during a poll: %s", error)
        return self._aborted

    def _reason_to_leave(self) -> WorkerExit | None:
        instructions, now = self._instructions, self._clock.now()
        if self._dismissed or self._clock.stopped_at is not None:
            return WorkerExit(
                DISMISSED if self._dismissed else "stopping", notify=not self._aborted
            )
        if self._heartbeats.gone:
            return WorkerExit("the API no longer needs this worker", notify=False)
        if instructions.policy == "once" and self._ran:
            return WorkerExit("once")
        if instructions.policy != "context" and now - self._born >= instructions.age:
            return WorkerExit("age")
        return None

    def _is_warm(self) -> bool:
        """Report that the worker is idle; return whether it stays for the pipeline's next run."""
        try:
            return self._api.end(WorkerEnd(reason="idle")).wait
        except WorkerApiError as error:
            logger.warning("cannot report the exit: %s", error)
            return False

    def _decide(self, claim: Claim) -> bool:
        """Claim a task, and run what the responses say; return whether a command ran."""
        response: ClaimResponse | None = self._api.claim(claim)
        ran = False
        while response is not None and response.decision is ClaimDecision.RUN:
            with log_fields(path=response.path, attempt=response.attempt, run_id=claim.run):
                claim, response = self._run(claim, response)
            ran = True
        if response is None:
            return ran
        if response.decision is ClaimDecision.HOLD:
            self._held.append(
                _Held(claim, self._clock.now() + response.retry_after, response.blocked)
            )
        else:
            self._heartbeats.drop(claim.token)
        return ran

    def _run(self, claim: Claim, response: ClaimResponse) -> tuple[Claim, ClaimResponse | None]:
        """Run a command; return the next claim and its response, or the same claim and None."""
        logger.info("a command starts")
        execution = Execution(
            response,
            commands=self._commands,
            shipper=self._shipper,
            sampler=self._sampler,
            keeper=self._heartbeats,
            clock=self._clock,
            services=self._services,
            views=self._views,
            peak=self._peak,
        )
        ended = execution.run()
        logger.info("a command ended")
        self._ran += 1
        self._idle_since = self._clock.now()
        offer, answer = self._report(ended, backlog=response.backlog)
        if answer.task_open:
            self._held.append(_Held(claim, 0.0, blocked=False))
        else:
            self._heartbeats.drop(claim.token)
        self._idle_since = self._clock.now()
        for each in self._held:
            each.due = 0.0
        if offer is None:
            return claim, None
        following = _claim_of(offer)
        if self._dismissed and answer.next is None:
            raise WorkerExit(DISMISSED, offer=following)
        if answer.next is None:
            self._held.append(_Held(following, 0.0, blocked=False))
        return following, answer.next

    def _report(
        self, ended: CommandResult, *, backlog: bool
    ) -> tuple[PolledTask | None, ReportResponse]:
        """Report the result; return the next task, and the response."""
        report = self._with_tree(ended)
        is_known = backlog and report.seconds < BACKLOG_SECONDS
        offer = self._next(report) if ended.usable and is_known else None
        once = self._instructions.policy == "once"
        stopped = self._clock.stopped_at is not None
        leaving = stopped or once or not ended.usable
        following = None if offer is None or leaving else _claim_of(offer)
        answer = self._reported(report.model_copy(update={"last": leaving, "next": following}))
        self._dismissed = answer.leave
        if not ended.usable:
            raise WorkerExit(SERVICE_ENDED if report.cause is Cause.SERVICE else NOT_STOPPED)
        if offer is not None and stopped:
            raise WorkerExit("stopping", offer=_claim_of(offer))
        return offer, answer

    def _next(self, report: Report) -> PolledTask | None:
        """Poll for a short time, if a task may run after the report; return it.

        A failed command may run again at once, and a Lazy's report has its own entry.
        """
        ended_well = report.cause is None and report.exit_code == 0
        generates = report.tree is not None or report.tree_key is not None
        if not ended_well or generates or self._held or self._reason_to_leave() is not None:
            return None
        if not self._early.is_due():
            return None
        offer = self._tasks.poll_briefly(EARLY_POLL_SECONDS)
        self._early.count(found=offer is not None)
        if offer is not None:
            self._heartbeats.add_task(offer.token)
        return offer

    def _reported(self, report: Report) -> ReportResponse:
        """Send a report; return the response, or one that changes nothing if it is rejected."""
        try:
            return self._api.report(report)
        except WorkerGoneError:
            raise
        except RefusedError as error:
            if report.next is not None:  # the API may be older: claim the task by itself
                return self._reported(report.model_copy(update={"next": None}))
            # The attempt was ended from outside or is already reported.
            logger.warning("the report was rejected: %s", error)
            return ReportResponse()

    def _with_tree(self, ended: CommandResult) -> Report:
        if ended.tree is None:
            return ended.report
        if len(ended.tree) <= MAX_TREE_IN_REPORT:
            return ended.report.model_copy(update={"tree": in_report(ended.tree)})
        try:
            return ended.report.model_copy(update={"tree_key": self._api.upload(ended.tree)})
        except RefusedError as error:
            message = f"cannot upload the tree that the command printed: {error}"
            return ended.report.model_copy(update={"cause": Cause.LAZY, "message": message})


def _claim_of(offer: PolledTask) -> Claim:
    return Claim(token=offer.token, run=offer.run, node=offer.node, waits=offer.waits)
