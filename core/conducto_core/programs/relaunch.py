"""The operations that launch a pipeline's tree or its program again."""

import shlex
from abc import abstractmethod
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from itertools import islice
from pathlib import PurePath
from typing import Any, Protocol

from conducto_core.api.serve import serves
from conducto_core.budgets.rules import with_budget
from conducto_core.command.text import CommandError, as_written, script_of
from conducto_core.errors import RefusedError
from conducto_core.images.model import ImageSources
from conducto_core.images.references import without_password
from conducto_core.programs import operations as programs_operations
from conducto_core.programs.model import (
    ContinuationParams,
    Fate,
    LatestContinuation,
    LaunchAgain,
    PlanRecord,
    ProgramCall,
    ProgramStart,
    ProgramStartParams,
    ProgramView,
    StartProgram,
)
from conducto_core.programs.rules.fingerprints import ImageContent, SecretOrigins, fingerprint
from conducto_core.programs.rules.programs import call_of, flag_of, is_of_program, words_of
from conducto_core.remote.model import LINK_TAG
from conducto_core.run import operations as run_operations
from conducto_core.run.model import params as p
from conducto_core.run.model.params import MAX_HISTORY_SCAN, MAX_TEXT, ListParams, ProgramParams
from conducto_core.run.model.records import PipelineRecord
from conducto_core.run.model.requests import LaunchRequest, PipelineSummary
from conducto_core.run.port import PipelineReader
from conducto_core.secrets.rules import check_template
from conducto_core.tree.model import NodeSpec, unpack_form

# ----------------------------------------------------------------------------------------
# The launch request of a pipeline, to launch a similar one, and its program.


def launch_request(record: PipelineRecord, tree: dict[str, Any]) -> LaunchRequest:
    """Return the request for a pipeline and its stored launch form; it does not arm the new one."""
    return LaunchRequest.model_construct(
        tree=tree,
        title=record.title,
        doc=record.doc,
        tags=record.tags,
        run=False,
        run_at=None,
        sleep_when_done=record.sleep_when_done,
        retention=record.retention,
        engine=record.engine,
        program=record.program,
        owner=record.owner,
        copy_of=record.id,
    )


def program_view(summary: PipelineSummary, tree: dict[str, Any]) -> ProgramView:
    call = call_of(tree)
    line = None if call is None else command_line(call, summary.pipeline.mode)
    return ProgramView(pipeline=summary, call=call, command_line=line)


def command_line(call: ProgramCall, mode: str) -> str:
    """Return the command line that makes the same call again, for a terminal."""
    interpreter, *rest = call.command
    name = PurePath(interpreter).name
    withheld = dict.fromkeys(call.withheld, "***")
    words = words_of(call, {**call.arguments, **withheld}, call.rest)
    return shlex.join([name, *rest, *words, flag_of(call, mode), flag_of(call, "run")])


def without_passwords(launch: LaunchRequest) -> LaunchRequest:
    """Return a launch request without passwords in the addresses of its images' repositories."""
    sources = {name: _shown_source(source) for name, source in launch.sources.items()}
    return launch.model_copy(update={"tree": _shown_tree(launch.tree), "sources": sources})


def _shown_source(source: ImageSources) -> ImageSources:
    if source.clone is None:
        return source
    url = without_password(source.clone.url)
    return source.model_copy(update={"clone": source.clone.model_copy(update={"url": url})})


def _shown_tree(tree: dict[str, Any]) -> dict[str, Any]:
    images = {
        key: {**image, "copy_url": without_password(image["copy_url"])}
        if isinstance(image, dict) and isinstance(image.get("copy_url"), str)
        else image
        for key, image in (tree.get("images") or {}).items()
    }
    return {**tree, "images": images} if images else tree


_NO_SCRIPTS = (
    "the script is on the machine that launched it, so it cannot be started from here with other "
    "parameters; use the command line there, or launch the same tree again"
)


class Programs(PipelineReader):
    """Launches from what a target has stored; an agent overrides those that start programs."""

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

    async def template_launch(self, pipeline_id: str) -> LaunchRequest:
        """Return the launch request of a pipeline as the template of a schedule.

        Raises:
            NotFoundError: There is no such pipeline.
            RefusedError: It runs a pull request from a fork.
        """
        record = (await self.get_pipeline(p.PipelineParams(id=pipeline_id))).pipeline
        check_template(record)
        return await self.stored_launch(record.id)

    @serves(run_operations.DEFINITION)
    async def get_definition(self, params: p.PipelineParams) -> LaunchRequest:
        """Return the launch request of a pipeline, so that it can be launched again; not armed."""
        return without_passwords(await self.stored_launch(params.id))

    @serves(programs_operations.PROGRAM)
    async def get_program(self, params: p.PipelineParams) -> ProgramView:
        """Return the program of a pipeline, and the call that made its tree."""
        summary = await self.get_pipeline(params)
        launch = await self.stored_launch(summary.pipeline.id)
        view = program_view(summary, launch.tree)
        return view.model_copy(update={"problem": _NO_SCRIPTS})

    @serves(run_operations.LAUNCH_AGAIN)
    async def launch_again(
        self,
        params: p.PipelineParams,
        request: LaunchAgain,
        key: str | None = None,
        *,
        repeated: bool = False,
    ) -> PipelineSummary:
        original = (await self.get_pipeline(params)).pipeline.id
        launch = await self.stored_launch(original)
        title = request.title or launch.title
        tags = tuple(tag for tag in launch.tags if tag != LINK_TAG)  # by this launch, not that one
        tree = launch.tree
        if request.budget is not None:
            tree = with_budget(tree, request.budget)
        changes = {
            "run": request.run,
            "title": title,
            "copy_of": original,
            "tags": tags,
            "tree": tree,
        }
        again = launch.model_copy(update=changes)
        return await self.launch_stored(again, key, repeated=repeated)

    @serves(programs_operations.START_PROGRAM)
    async def start_program(self, params: p.PipelineParams, _request: StartProgram) -> ProgramStart:
        """Refuse: only an agent starts programs."""
        raise RefusedError(f"{params.id}: {_NO_SCRIPTS}")

    @serves(programs_operations.PROGRAM_START)
    async def get_program_start(self, _params: ProgramStartParams) -> ProgramStart:
        """Refuse: only an agent starts programs."""
        raise RefusedError(_NO_SCRIPTS)

    @serves(programs_operations.CANCEL_PROGRAM_START)
    async def cancel_program_start(self, _params: ProgramStartParams) -> ProgramStart:
        """Refuse: only an agent starts programs."""
        raise RefusedError(_NO_SCRIPTS)


# ----------------------------------------------------------------------------------------
# The pipelines of one program.


_PAGE = 100


class PipelinesOfProgram:
    """Searches the list of pipelines for those of a program.

    Attributes:
        has_more: The search ended early, so that older pipelines may be missing.
    """

    def __init__(
        self,
        lister: PipelineReader,
        program: ProgramParams,
        in_time: Callable[[], bool],
        matches: Callable[[PipelineRecord, ProgramParams], bool] = is_of_program,
    ) -> None:
        self._lister = lister
        self._program = program
        self._in_time = in_time
        self._is_of_program = matches
        self.has_more = False

    async def newest(
        self, limit: int, until: float | None = None
    ) -> AsyncIterator[PipelineSummary]:
        """Yield at most ``limit`` pipelines, the newest first.

        Args:
            limit: At least 1.
            until: Only pipelines created at or before this time, in seconds since the epoch.
        """
        program = self._program
        text = program.title if program.function is None else program.program
        query = ListParams(text=(text or "")[:MAX_TEXT], lifecycle="all", limit=_PAGE)
        for _ in range(MAX_HISTORY_SCAN // _PAGE):
            page = await self._lister.list_pipelines(query)
            for summary in filter(self._matches, page.pipelines):
                if until is not None and summary.pipeline.created > until:
                    continue
                yield summary
                limit -= 1
                if limit == 0:
                    return
            if page.next is None:
                return
            query = query.model_copy(update={"after": page.next})
            if not self._in_time():
                break
        self.has_more = True

    def _matches(self, summary: PipelineSummary) -> bool:
        return self._is_of_program(summary.pipeline, self._program)


# ----------------------------------------------------------------------------------------
# The plan of the latest continuation, as clients read it.


def latest_continuation(stored: bytes | None, params: ContinuationParams) -> LatestContinuation:
    """Return the queried part of a plan.

    Args:
        stored: The plan (`PlanRecord`), packed; None if the tree was never replaced.
        params: The query.
    """
    if stored is None:
        return LatestContinuation()
    plan = PlanRecord.model_validate(unpack_form(stored))
    below = params.path.rstrip("/") + "/"
    found = [n for n in plan.nodes if n.path == params.path or n.path.startswith(below)]
    numbers = Counter(each.fate for each in found)
    found.sort(key=lambda each: each.fate is Fate.KEPT)
    return LatestContinuation(
        time=plan.time,
        kept=numbers[Fate.KEPT],
        runs=numbers[Fate.RUNS],
        skipped=numbers[Fate.SKIPPED],
        nodes=tuple(islice(found, params.limit)),
        removed=len(plan.removed),
    )


# ----------------------------------------------------------------------------------------
# The fingerprint of an Exec in an image, as `conducto_core.programs.rules.continuation` compares
# it.


#: The digest of an image that must be pulled or built first; no attempt has it.
_NOT_BUILT = "not built"


class AvailableImage(Protocol):
    """An image that containers can be started from, or one that must be pulled or built first."""

    @property
    def reference(self) -> str | None:
        """The name that identifies its content; None: it must be pulled or built first."""

    @property
    def workdir(self) -> str | None:
        """The working directory of its commands."""

    @property
    def path_map(self) -> Mapping[str, str]:
        """``{path on the host: path in the container}`` of its code."""

    @property
    def base(self) -> str | None:
        """Identity of the image below its copied files, if known."""

    @property
    def code(self) -> str:
        """Identity of its copied files."""


def content_of(image: AvailableImage) -> ImageContent:
    """Return an image as fingerprints compare it; one without a digest has the reference ""."""
    reference = _NOT_BUILT if image.reference is None else image.reference or None
    return ImageContent(reference, image.base, image.code)


def fingerprint_in(
    spec: NodeSpec,
    image: AvailableImage | None,
    secrets: SecretOrigins | str,
    hide: Callable[[str], str],
    results: Mapping[str, bytes] | None = None,
) -> str | None:
    """Return the fingerprint that an attempt would have now, or None if its image has no digest.

    Args:
        spec: The resolved Exec.
        image: Its image; None if nothing is known of it before it is pulled or built.
        secrets: The secrets that it gets, or `ANY`.
        hide: Masks their values.
        results: ``{path: result}`` that it uses, if they are known.
    """
    if image is None:
        return fingerprint(spec, as_written(spec), _NOT_BUILT, secrets, hide)
    try:
        script = script_of(spec, image.path_map, image.workdir)
    except CommandError:  # it fails when it runs
        script = as_written(spec)
    return fingerprint(spec, script, content_of(image), secrets, hide, results=results)
