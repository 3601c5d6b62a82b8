"""The operations that launch a pipeline's tree or its program again."""

from abc import ABC, abstractmethod

from conducto_core.api.queries.relaunch import program_view, without_passwords
from conducto_core.errors import RefusedError
from conducto_core.model import params as p
from conducto_core.model.programs import (
    LaunchAgain,
    ProgramStart,
    ProgramStartParams,
    ProgramView,
    StartProgram,
)
from conducto_core.model.requests import LaunchRequest, PipelineSummary
from conducto_core.semantics.user_secrets import check_template

_NO_SCRIPTS = (
    "the script is on the machine that launched it, so it cannot be started from here with other "
    "parameters; use the command line there, or launch the same tree again"
)


class Programs(ABC):
    """Launches from what a target has stored; an agent overrides those that start programs."""

    @abstractmethod
    async def get_pipeline(self, params: p.PipelineParams) -> PipelineSummary:
        """Return one pipeline. An unambiguous prefix of its id is enough."""

    @abstractmethod
    async def launch(
        self, request: LaunchRequest, key: str | None = None, *, repeated: bool = False
    ) -> PipelineSummary:
        """Validate, resolve, store and (if requested) run a pipeline.

        Args:
            request: The tree, with options.
            key: The idempotency key of the request.
            repeated: An earlier request with this key was interrupted: return the pipeline that it
                created, if any.
        """

    async def launch_stored(
        self, request: LaunchRequest, key: str | None = None, *, repeated: bool = False
    ) -> PipelineSummary:
        """Launch a stored request, whose sources are trusted; see `launch`."""
        return await self.launch(request, key, repeated=repeated)

    @abstractmethod
    async def stored_launch(self, pipeline_id: str) -> LaunchRequest:
        """Return the launch request of a pipeline, not armed; addresses may have passwords."""

    async def template_launch(self, pipeline_id: str) -> LaunchRequest:
        """Return the launch request of a pipeline as the template of a schedule.

        Raises:
            NotFoundError: There is no such pipeline.
            RefusedError: It runs a pull request from a fork.
        """
        record = (await self.get_pipeline(p.PipelineParams(id=pipeline_id))).pipeline
        check_template(record)
        return await self.stored_launch(record.id)

    async def get_definition(self, params: p.PipelineParams) -> LaunchRequest:
        """Return the launch request of a pipeline, so that it can be launched again; not armed."""
        return without_passwords(await self.stored_launch(params.id))

    async def get_program(self, params: p.PipelineParams) -> ProgramView:
        """Return the program of a pipeline, and the call that made its tree."""
        summary = await self.get_pipeline(params)
        launch = await self.stored_launch(summary.pipeline.id)
        view = program_view(summary, launch.tree)
        return view.model_copy(update={"problem": _NO_SCRIPTS})

    async def launch_again(
        self,
        params: p.PipelineParams,
        request: LaunchAgain,
        key: str | None = None,
        *,
        repeated: bool = False,
    ) -> PipelineSummary:
        """Launch the tree of a pipeline again, as it was launched."""
        original = (await self.get_pipeline(params)).pipeline.id
        launch = await self.stored_launch(original)
        title = request.title or launch.title
        changes = {"run": request.run, "title": title, "copy_of": original}
        again = launch.model_copy(update=changes)
        return await self.launch_stored(again, key, repeated=repeated)

    async def start_program(self, params: p.PipelineParams, _request: StartProgram) -> ProgramStart:
        """Refuse: only an agent starts programs."""
        raise RefusedError(f"{params.id}: {_NO_SCRIPTS}")

    async def get_program_start(self, _params: ProgramStartParams) -> ProgramStart:
        """Refuse: only an agent starts programs."""
        raise RefusedError(_NO_SCRIPTS)

    async def cancel_program_start(self, _params: ProgramStartParams) -> ProgramStart:
        """Refuse: only an agent starts programs."""
        raise RefusedError(_NO_SCRIPTS)
