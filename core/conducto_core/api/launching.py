"""The id and the record of a pipeline that is launched."""

import hashlib
import secrets
import time
from collections.abc import Iterable, Iterator
from typing import Literal

from conducto_core.model.nodes import Pipeline
from conducto_core.model.notification_rules import NotificationRule
from conducto_core.model.operations.operation import REMEMBERED_SECONDS
from conducto_core.model.records import ParentAttempt, PipelineRecord
from conducto_core.model.requests import LaunchRequest
from conducto_core.semantics.notification_rules import names_for
from conducto_core.semantics.programs import shortened_arguments

#: Number of ids that an earlier launch with the same key may have: others may use the first ones.
TRIED_IDS = 3
_LETTERS = "abcdefghijklmnopqrstuvwxyz"


def ids_for(key: str | None) -> Iterator[str]:
    """Yield ids that are short to type, such as ``qdx-ruf``; callers use the first free one.

    Args:
        key: The request's idempotency key: a repeated request gets the same ids, and so finds the
            pipeline that it created. None: the ids are random.
    """
    seed = secrets.token_hex() if key is None else key
    number = 0
    while True:
        digest = hashlib.sha256(f"{seed} {number}".encode()).digest()
        letters = "".join(_LETTERS[byte % len(_LETTERS)] for byte in digest[:6])
        yield f"{letters[:3]}-{letters[3:]}"
        number += 1


def is_of_launch(record: PipelineRecord, owner: str, now: float) -> bool:
    """Return whether an earlier request under the same key can have created a pipeline."""
    return record.owner == owner and now - record.created < REMEMBERED_SECONDS


def new_record(
    pipeline_id: str,
    request: LaunchRequest,
    pipeline: Pipeline,
    *,
    mode: Literal["local", "cloud"] = "local",
    now: float | None = None,
    parent: ParentAttempt | None = None,
    rules: Iterable[NotificationRule] = (),
) -> PipelineRecord:
    """Return the record of a pipeline launched at ``now``, by default the present.

    ``rules`` are those of the organisation or the machine.
    """
    root = pipeline.root
    now = time.time() if now is None else now
    title = request.title or root.title or pipeline_id
    return PipelineRecord(
        id=pipeline_id,
        title=title,
        doc=request.doc if request.doc is not None else root.doc,
        tags=tuple(dict.fromkeys((*root.tags, *request.tags))),
        owner=request.owner,
        mode=mode,
        engine=request.engine,
        run_at=request.run_at,
        sleep_when_done=request.sleep_when_done,
        retention=request.retention,
        program=request.program,
        function=None if pipeline.call is None else pipeline.call.function,
        arguments={} if pipeline.call is None else shortened_arguments(pipeline.call),
        created=now,
        touched=now,
        parent=parent,
        copy_of=request.copy_of,
        notification_rules=names_for(rules, title, (*root.tags, *request.tags)),
    )
