"""Check runs at GitHub, in place of commit statuses, for triggers with the GitHub App."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

from chalicelib.records import Records
from chalicelib.triggers.tokens import GitPorts
from conducto_core.annotations.model import AnnotationParams
from conducto_core.api.pipelines import Pipelines
from conducto_core.checks.rules import (
    MAX_ANNOTATIONS,
    CheckFacts,
    coverage_notes,
    requests_of,
)
from conducto_core.command.masking import Mask
from conducto_core.coverage.model import MAX_LISTED, CoverageParams
from conducto_core.coverage.rules import changed_lines
from conducto_core.diagnosis.model import DiagnosisParams
from conducto_core.notifications.model import NotificationRecord
from conducto_core.notifications.rules import STATUS_CONTEXT
from conducto_core.run.model.records import GitOrigin, PipelineRecord
from conducto_core.run.model.states import FINISHED, State
from conducto_core.triggers.model import GitEvent, GitEventKind


class CheckRuns:
    """Reports the state of pipelines as check runs.

    Args:
        pipelines: Returns the pipelines of an organisation.
    """

    def __init__(
        self, records: Records, git: GitPorts, pipelines: Callable[[str], Pipelines]
    ) -> None:
        self._records = records
        self._git = git
        self._pipelines = pipelines

    def report(
        self, org: str, record: PipelineRecord, message: NotificationRecord, mask: Mask
    ) -> bool:
        """Report a state; return False if the commit has a status instead.

        Raises:
            DeliveryError: GitHub did not accept it.
        """
        git = record.git
        if git is None or message.arguments.get("context") != STATUS_CONTEXT:
            return False
        trigger = self._records.triggers.get(org, git.trigger)
        if trigger is None or not trigger.app:
            return False
        bodies = requests_of(self._facts(org, record, git, message), mask)

        def send() -> bool:
            token = self._git.tokens.of_trigger(org, trigger)
            return token is not None and self._git.provider.set_check(
                trigger, token, git.sha, bodies
            )

        return self._git.tokens.renewing(org, trigger, send)

    def _facts(
        self, org: str, record: PipelineRecord, git: GitOrigin, message: NotificationRecord
    ) -> CheckFacts:
        page, waiting = message.arguments.get("page"), record.status.approvals
        is_asked = bool(waiting) and message.state not in FINISHED
        state = message.state if message.state in FINISHED else State.RUNNING
        facts = CheckFacts(
            pipeline=record.id,
            name=STATUS_CONTEXT,
            sha=git.sha,
            state=State.QUEUED if is_asked else state,
            about=waiting[0].path if is_asked else message.about,
            page=None if page is None else str(page),
        )
        if message.state not in FINISHED:
            return facts
        return asyncio.run(self._of_ended(org, record, facts))

    def _changed(self, org: str, record: PipelineRecord) -> dict[str, set[int]]:
        """Return ``{file: lines}`` that the commit changes, as far as GitHub shows them."""
        git = record.git
        trigger = None if git is None else self._records.triggers.get(org, git.trigger)
        if git is None or trigger is None:
            return {}
        event = GitEvent(
            kind=GitEventKind.PUSH,
            url=git.url,
            repository=git.repository,
            branch=git.branch,
            sha=git.sha,
            base=git.base,
        )
        token = self._git.tokens.of_trigger(org, trigger)
        files = self._git.provider.changed_files(trigger, token, event) or ()
        return {each.path: changed_lines(each.patch) for each in files}

    async def _of_ended(self, org: str, record: PipelineRecord, facts: CheckFacts) -> CheckFacts:
        pipelines = self._pipelines(org)
        query = AnnotationParams(id=record.id, limit=MAX_ANNOTATIONS)
        report = await pipelines.get_coverage(CoverageParams(id=record.id, limit=MAX_LISTED))
        changed = await asyncio.to_thread(self._changed, org, record) if report.lines else {}
        return replace(
            facts,
            notes=coverage_notes(report, changed),
            diagnosis=await pipelines.get_diagnosis(DiagnosisParams(id=record.id)),
            annotations=(await pipelines.list_annotations(query)).annotations,
        )
