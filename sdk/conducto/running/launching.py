"""From a launch request to a pipeline's id and record."""

import secrets
import time
from collections.abc import Container as Holder
from typing import Literal

from conducto.model.api import LaunchRequest
from conducto.model.nodes import Pipeline
from conducto.model.records import PipelineRecord

_LETTERS = "abcdefghijklmnopqrstuvwxyz"


def new_id(taken: Holder[str]) -> str:
    """Return an id that is short to type, such as ``qdx-ruf``, and not taken."""
    while True:
        letters = [secrets.choice(_LETTERS) for _ in range(6)]
        made = "".join(letters[:3]) + "-" + "".join(letters[3:])
        if made not in taken:
            return made


def new_record(
    pipeline_id: str,
    request: LaunchRequest,
    pipeline: Pipeline,
    *,
    mode: Literal["local", "cloud"] = "local",
    now: float | None = None,
) -> PipelineRecord:
    """Return the record of a pipeline that is launched at ``now``, the present by default."""
    root = pipeline.root
    now = time.time() if now is None else now
    return PipelineRecord(
        id=pipeline_id,
        title=request.title or root.title or pipeline_id,
        doc=request.doc if request.doc is not None else root.doc,
        tags=tuple(dict.fromkeys((*root.tags, *request.tags))),
        owner=request.owner,
        mode=mode,
        engine=request.engine,
        run_at=request.run_at,
        sleep_when_done=request.sleep_when_done,
        retention=request.retention,
        program=request.program,
        created=now,
        touched=now,
    )
