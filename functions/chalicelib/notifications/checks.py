"""Check runs at GitHub, in place of commit statuses, for triggers with the GitHub App."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

from chalicelib.dependencies import Dependencies
from chalicelib.triggers.triggers import trigger_token, with_new_token
from conducto_core.annotations.model import AnnotationParams
from conducto_core.api.pipelines import Pipelines
from conducto_core.checks.rules import MAX_ANNOTATIONS, CheckFacts, requests_of
from conducto_core.command.masking import Mask
from conducto_core.diagnosis.model import DiagnosisParams
from conducto_core.notifications.model import NotificationRecord
from conducto_core.notifications.rules import STATUS_CONTEXT
from conducto_core.run.model.records import GitOrigin, PipelineRecord
from conducto_core.run.model.states import FINISHED, State


class CheckRuns:
    """Reports the state of pipelines as check runs.

    Args:
        cloud: The ports.
        pipelines: Returns the pipelines of an organisation.
    """

    def __init__(self, cloud: Dependencies, pipelines: Callable[[str], Pipelines]) -> None:
        self._cloud = cloud
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
        trigger = self._cloud.triggers.get(org, git.trigger)
        if trigger is None or not trigger.app:
            return False
        bodies = requests_of(self._facts(org, record, git, message), mask)

        def send() -> bool:
            token = trigger_token(self._cloud, org, trigger)
            return token is not None and self._cloud.git.set_check(trigger, token, git.sha, bodies)

        return with_new_token(self._cloud, org, trigger, send)

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
        return asyncio.run(self._of_ended(self._pipelines(org), record, facts))

    async def _of_ended(
        self, pipelines: Pipelines, record: PipelineRecord, facts: CheckFacts
    ) -> CheckFacts:
        query = AnnotationParams(id=record.id, limit=MAX_ANNOTATIONS)
        return replace(
            facts,
            diagnosis=await pipelines.get_diagnosis(DiagnosisParams(id=record.id)),
            annotations=(await pipelines.list_annotations(query)).annotations,
        )
