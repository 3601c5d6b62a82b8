"""The launch request of a pipeline, to launch a similar one, and its program."""

import shlex
from pathlib import PurePath
from typing import Any

from conducto_core.images.urls import without_password
from conducto_core.model.image_sources import ImageSources
from conducto_core.model.program_calls import ProgramCall
from conducto_core.model.programs import ProgramView
from conducto_core.model.records import PipelineRecord
from conducto_core.model.requests import LaunchRequest, PipelineSummary
from conducto_core.semantics.programs import call_of, flag_of, words_of


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
    """Return the program of a pipeline by its stored launch form."""
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
