"""The id and the record of a pipeline that is launched."""

import hashlib
import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Literal, Protocol

from pydantic import ValidationError

from conducto_core.api.operation import REMEMBERED_SECONDS
from conducto_core.approvals.handlers import check_not_bypassed
from conducto_core.approvals.rules import Decider
from conducto_core.errors import RefusedError, invalid, no_node
from conducto_core.notifications.model import NotificationRule
from conducto_core.notifications.rules import names_for
from conducto_core.programs.model import ContinueRequest
from conducto_core.programs.rules.programs import shortened_arguments
from conducto_core.run.model.records import LaunchCommit, Lifecycle, ParentAttempt, PipelineRecord
from conducto_core.run.model.requests import (
    STARTS,
    WHOLE,
    Action,
    ControlRequest,
    ControlResult,
    LaunchRequest,
)
from conducto_core.run.rules.actions import lay_over, named, preview, why_idle
from conducto_core.run.views import Viewed
from conducto_core.secrets.rules import set_of
from conducto_core.tree.model import Pipeline

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
        partition=None if pipeline.call is None else pipeline.call.partition,
        backfill=0 if pipeline.call is None else len(pipeline.call.backfill),
        no_cache=request.no_cache,
        secret_set=set_of(request.tree),
        notification_rules=names_for(rules, title, (*root.tags, *request.tags)),
        commit=commit_of(request.tree),
    )


def commit_of(form: Mapping[str, Any]) -> LaunchCommit | None:
    """Return the commit that a launch form was made from; None without a valid one."""
    written = form.get("commits")
    if not isinstance(written, Mapping):
        return None
    fields = {name: written.get(name) for name in LaunchCommit.model_fields}
    try:
        return LaunchCommit.model_validate(fields)
    except ValidationError:
        return None


# ----------------------------------------------------------------------------------------
# Checks of users' actions before they are executed, on both targets.


#: Actions that are possible on an archived pipeline.
_IN_ARCHIVE = frozenset({Action.WAKE, Action.ARCHIVE})


class CheckedAction(Viewed, Protocol):
    """A pipeline that accepts actions."""

    @property
    def edits(self) -> Mapping[str, Mapping[str, Any]]:
        """Changes of nodes after the launch (`conducto_core.tree.rules.resolve.Edits`)."""


def check_action(
    live: CheckedAction, request: ControlRequest, decider: Callable[[], Decider]
) -> ControlRequest:
    """Return an action that is possible now, with the paths of all nodes that it affects.

    Args:
        live: The pipeline.
        request: The action.
        decider: Returns the caller; only called if the action needs the right to decide.

    Raises:
        NotFoundError: a path is not in the tree.
        RefusedError: the request names no nodes, the pipeline is archived, or the action leads
            around an approval that the caller may not decide.
    """
    order = request.action
    if order not in WHOLE:
        for path in request.paths:
            if path not in live.tree.nodes:
                raise no_node(live.id, path)
        if not request.paths and not request.failed:
            raise RefusedError(f"{live.id}: {order} needs the paths of nodes; '/' selects all")
    if live.record.lifecycle is Lifecycle.ARCHIVED and order not in _IN_ARCHIVE:
        raise RefusedError(f"{live.id}: is archived; wake it first: conducto wake {live.id}")
    if order in WHOLE:
        return request
    request = named(live.tree, request)
    check_not_bypassed(live, request, decider)
    return request


def check_deletable(live: Viewed) -> None:
    """Check that a pipeline can be deleted.

    Raises:
        RefusedError: it runs, or will start by itself.
    """
    if not live.status().settled:
        raise RefusedError(
            f"{live.id}: commands run, or it will start by itself, so it cannot be deleted; stop "
            f"it first: conducto archive {live.id}"
        )


def check_continuable(live: Viewed, request: ContinueRequest) -> None:
    """Check that the definition of a pipeline can be replaced.

    Raises:
        RefusedError: it runs, will start by itself, is archived, is of another script, or has
            changed since the plan of the request.
    """
    record, program = live.record, request.launch.program
    if record.lifecycle is Lifecycle.ARCHIVED:
        raise RefusedError(f"{live.id}: is archived; wake it first: conducto wake {live.id}")
    if not live.status().settled:
        raise RefusedError(
            f"{live.id}: commands run, or it will start by itself, so its definition cannot be "
            f"replaced; wait, or stop it: conducto cancel {live.id}"
        )
    if record.program != program:
        raise RefusedError(
            f"{live.id}: was launched by {record.program or 'no script file'}, not by "
            f"{program or 'the same'}; launch another pipeline instead"
        )
    if set_of(request.launch.tree) not in ("", record.secret_set):
        raise RefusedError(
            f"{live.id}: keeps its set of secrets, {record.secret_set or 'none'}; leave "
            "--secret-set out, or launch another pipeline"
        )
    if request.seq not in (None, live.status().seq):
        raise RefusedError(f"{live.id}: has changed since the plan was made; try again")


def preview_of_whole(live: CheckedAction, action: Action) -> ControlResult:
    """Return the effect of an action on the whole pipeline on its Execs."""
    if action is Action.RUN:
        idle = why_idle(live.tree, live.id)
        return ControlResult(notes=() if idle is None else (idle,), preview=True, idle=idle)
    if action is Action.PAUSE and (still := live.counts().running):
        words = "1 Exec still runs and is" if still == 1 else f"{still:,} Execs still run and are"
        return ControlResult(notes=(f"{words} not stopped; nothing more starts",), preview=True)
    ends = action in (Action.CANCEL, Action.SLEEP, Action.ARCHIVE)
    running = live.counts().running if ends else 0
    return ControlResult(affected=running, stopped=running, preview=True)


def preview_of_nodes(live: CheckedAction, request: ControlRequest) -> ControlResult:
    """Return the effect of an action on nodes on their Execs."""
    result = preview(live.tree, request.action, request.paths)
    others = live.counts().pending
    starts = request.preview and request.action in STARTS and not live.record.armed
    if not starts or not others:
        return result
    words = "1 other pending Exec" if others == 1 else f"{others:,} other pending Execs"
    note = f"the pipeline is paused; {words} will also run"
    return result.model_copy(update={"notes": (*result.notes, note)})


def done_on_nodes(
    live: CheckedAction, request: ControlRequest, effect: ControlResult
) -> ControlResult:
    """Return the result of an action on nodes, given its preview and the pipeline after it.

    If the action runs the pipeline, the result has the reason why nothing starts.
    """
    idle = why_idle(live.tree, live.id) if request.action in STARTS else None
    notes = effect.notes if idle is None else (*effect.notes, idle)
    return effect.model_copy(update={"preview": False, "notes": notes, "idle": idle})


def edits_of(live: CheckedAction, request: ControlRequest) -> dict[str, dict[str, Any]]:
    """Return the edits of each node that a ``modify`` names, with earlier ones.

    Raises:
        RefusedError: it changes nothing.
        DefinitionError: a node does not have such a parameter, or the pipeline no such image.
    """
    changes = request.changes
    if changes is None or not changes.model_fields_set:
        raise RefusedError(f"{live.id}: modify needs changes, e.g. command or env")
    images = live.pipeline.images
    if changes.image is not None and changes.image not in images:
        known = ", ".join(sorted(images))
        raise invalid(
            request.paths[0],
            f"image={changes.image!r} names no image of this pipeline; there are {known}",
        )
    return {
        path: lay_over(live.edits.get(path, {}), changes, live.tree.nodes[path])
        for path in request.paths
    }
