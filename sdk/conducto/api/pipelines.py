"""Pipelines of the original's API: thin forms of the Python client, and placeholders."""

from __future__ import annotations

from conducto.api import calls as target
from conducto.api.calls import (
    InvalidResponse,
    NotAvailableError,
    client,
    found,
    not_yet,
    original,
    result_of,
    target_arguments,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, NoReturn, Optional, Sequence

_LAUNCH = "`co.launch(tree, run=False)` returns a pipeline that has not started."
_HANDLE = "`co.get_pipeline` and `co.list_pipelines` return handles with all actions."


class Pipeline:
    """Launched pipelines, on the target of this process: thin forms of ``co.get_pipeline`` etc.

    The ``token`` of the methods is ignored: the profile's login is used.
    """

    def get(self, pipeline_id: str, token: str | None = None) -> dict[str, Any]:
        """Return a pipeline.

        Raises:
            InvalidResponse: There is none, or the server does not respond.
        """
        del token
        return _described(found(pipeline_id))

    def list(self, token: str | None = None, user_only: bool = False) -> List[Dict[str, Any]]:
        """Return all pipelines that are not archived, the newest first.

        Args:
            token: Ignored.
            user_only: Only those of this user; those of this machine are.
        """
        del token, user_only
        return [_described(each) for each in client("list_pipelines")(**target_arguments())]

    def archive(self, pipeline_id: str, token: str | None = None) -> None:
        """Stop a pipeline and remove it from the list."""
        del token
        result_of(found(pipeline_id).archive)

    def sleep(
        self,
        *,
        org_id: object = None,
        user_ids: Optional[List[str]] = None,
        pipeline_ids: Optional[List[str]] = None,
        local: bool = False,
        cloud: bool = False,
        token: str | None = None,
    ) -> None:
        """Put pipelines to sleep: those with these ids.

        Raises:
            NotAvailableError: Others are selected.
        """
        del local, cloud, token
        if org_id is not None or user_ids is not None or pipeline_ids is None:
            raise NotAvailableError("Putting pipelines to sleep by user", "Give `pipeline_ids`.")
        for pipeline_id in pipeline_ids:
            result_of(found(pipeline_id).sleep)

    def sleep_standby(self, pipeline_id: str, token: str | None = None) -> None:
        """Put a pipeline to sleep."""
        self.sleep(pipeline_ids=[pipeline_id], token=token)

    def create(self, command: str, cloud: bool, token: str | None = None, **kwargs: object) -> str:
        """Return the id of a new pipeline without nodes, on this machine.

        Args:
            command: Its title, without a ``title``.
            cloud: In the cloud, which is not available.
            token: Ignored.
            kwargs: ``title``, ``tags`` and ``retention``; others of the original have no effect.

        Raises:
            NotAvailableError: In the cloud.
        """
        del token
        if cloud:
            raise NotAvailableError("Creating a pipeline in the cloud without its tree", _LAUNCH)
        given = {name: kwargs[name] for name in ("title", "tags", "retention") if name in kwargs}
        fields = {"title": command, **given}
        return str(original("create_pipeline")(target.profile_of_launch(), **fields))

    def save_serialization(
        self, pipeline_id: str, serialization: str, token: str | None = None
    ) -> None:
        """Replace the tree of a pipeline on this machine that does not run; nothing is kept.

        Args:
            pipeline_id: The pipeline.
            serialization: The tree, as ``root.serialize()`` returns it.
            token: Ignored.
        """
        del token
        profile = target.profile_of_launch()
        original("save_serialization")(found(pipeline_id), serialization, profile)

    def update(
        self,
        pipeline_id: str,
        params: Dict[str, Any],
        *args: str,
        token: str | None = None,
        **kwargs: object,
    ) -> None:
        """Change the status of a pipeline: ``active``, ``sleeping`` or ``archived``.

        Args:
            pipeline_id: The pipeline.
            params: ``{"status": ...}``, also in the original's forms, such as ``sleeping_local``.
            args: Names of the parameters to change; all without any.
            token: Ignored.
            kwargs: Ignored.

        Raises:
            NotAvailableError: Another parameter changes.
            ValueError: There is no such status.
        """
        del token, kwargs
        names: Sequence[str] = args or list(params)
        if list(names) != ["status"]:
            what = "Changing {} of a launched pipeline".format(", ".join(names) or "nothing")
            raise NotAvailableError(what, "Give title, tags and retention to `co.launch`.")
        status = str(params["status"])
        action = _ACTIONS.get(status.partition("_")[0])
        if action is None:
            raise ValueError(f"status {status!r}; it can be active, sleeping or archived")
        result_of(getattr(found(pipeline_id), action))

    def perms(self, pipeline_id: str, token: str | None = None) -> List[str]:
        """Return the permissions of this user for a pipeline, by the names of the original."""
        profile = target.profile_of_launch()
        return list(original("permissions")(found(pipeline_id), token, profile))

    def touch(self, pipeline_id: str, token: str | None = None, **kwargs: object) -> None:
        """Begin the retention of a pipeline again.

        Raises:
            InvalidResponse: It is archived.
        """
        del token, kwargs
        pipeline = found(pipeline_id)
        lifecycle = result_of(lambda: pipeline.summary).pipeline.lifecycle.value
        if lifecycle == "archived":
            raise InvalidResponse(f"{pipeline.id}: is archived; wake it first")
        # An action that changes nothing counts as activity.
        result_of(pipeline.wake if lifecycle == "active" else pipeline.sleep)

    setcheck_runthrottle = not_yet(
        "The server's launch limit", "`conducto whoami` prints the plan."
    )
    get_history = not_yet("The server's history of pipelines", "`co.list_pipelines` has filters.")
    agent_list = not_yet("Listing agents", "`conducto agent status` shows this machine's.")
    get_agent = not_yet("Asking for an agent", "`conducto agent status` shows this machine's.")
    admin_delete_logs = not_yet(
        "Deleting logs on a server", "`conducto delete` deletes a pipeline."
    )


#: Methods of handles by the first word of a status of the original.
_ACTIONS = {
    "active": "wake",
    "standby": "wake",
    "pending": "wake",
    "sleeping": "sleep",
    "archived": "archive",
}


class Manager:
    """The process that runs a pipeline: on this machine the agent, in the cloud the service."""

    def launch(
        self, pipeline_id: str, token: str | None = None, env: Optional[Dict[str, str]] = None
    ) -> None:
        """Wake a pipeline; one that is awake is not changed.

        Raises:
            NotAvailableError: Variables are given.
        """
        del token
        if env:
            raise NotAvailableError("Variables for a manager", "Set `env` of the root.")
        result_of(found(pipeline_id).wake)


class Analytics:
    """Statistics of past pipelines."""

    def get_pipeline_summary(self, pipeline_id: str) -> dict[str, Any]:
        """Return the state of a pipeline and its Execs by state."""
        return _described(found(pipeline_id))

    get_data_summary = not_yet("Statistics of all pipelines", "`conducto usage` prints them.")


def _described(pipeline: Any) -> dict[str, Any]:
    """Return a pipeline in the form of the original, as far as it is known."""
    summary = result_of(lambda: pipeline.summary)
    record = summary.pipeline
    return {
        "pipeline_id": record.id,
        "status": f"{record.lifecycle.value}_{record.mode}",
        "title": record.title,
        "doc": record.doc,
        "tags": list(record.tags),
        "user_id": record.owner,
        "cloud": record.mode == "cloud",
        "program_path": record.program,
        "created_at": record.created,
        "meta": {"state": summary.state.value, "counts": summary.counts.model_dump()},
    }


def connect_to_pipeline(pipeline_id: str, token: str | None = None) -> NoReturn:
    """Raise an error: handles follow pipelines in place of web sockets."""
    del token
    raise NotAvailableError(
        f"Following pipeline {pipeline_id} over a web socket",
        f"`for change in co.get_pipeline({pipeline_id!r}).follow()` does it.",
    )


def connect_to_ns(token: str | None = None) -> NoReturn:
    """Raise an error: handles follow pipelines in place of web sockets."""
    del token
    raise NotAvailableError("Following pipelines over a web socket", _HANDLE)
