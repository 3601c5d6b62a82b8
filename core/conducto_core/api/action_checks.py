"""Checks of users' actions before they are executed, on both targets."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from conducto_core.api.approvals import check_not_bypassed
from conducto_core.api.queries.views import Viewed
from conducto_core.errors import RefusedError, invalid, no_node
from conducto_core.model.continuation import ContinueRequest
from conducto_core.model.records import Lifecycle
from conducto_core.model.requests import WHOLE, Action, ControlRequest, ControlResult
from conducto_core.semantics.actions import lay_over, named, why_idle
from conducto_core.semantics.approvals import Decider

#: Actions that are possible on an archived pipeline.
_IN_ARCHIVE = frozenset({Action.WAKE, Action.ARCHIVE})


class CheckedAction(Viewed, Protocol):
    """A pipeline that accepts actions."""

    @property
    def edits(self) -> Mapping[str, Mapping[str, Any]]:
        """Changes of nodes after the launch (`conducto_core.semantics.resolve.Edits`)."""


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
    if request.seq not in (None, live.status().seq):
        raise RefusedError(f"{live.id}: has changed since the plan was made; try again")


def preview_of_whole(live: CheckedAction, action: Action) -> ControlResult:
    """Return the effect of an action on the whole pipeline on its Execs."""
    if action is Action.RUN:
        idle = why_idle(live.tree, live.id)
        return ControlResult(notes=() if idle is None else (idle,), preview=True)
    if action is Action.PAUSE and (still := live.counts().running):
        words = "1 Exec still runs and is" if still == 1 else f"{still:,} Execs still run and are"
        return ControlResult(notes=(f"{words} not stopped; nothing more starts",), preview=True)
    ends = action in (Action.CANCEL, Action.SLEEP, Action.ARCHIVE)
    running = live.counts().running if ends else 0
    return ControlResult(affected=running, stopped=running, preview=True)


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
