"""The services of the original's server: thin forms of the Python client, and placeholders.

Scripts import these at their top; only calling a placeholder fails, with the name of what to use.
"""

from __future__ import annotations

import base64
import binascii
import json

from conducto import _host
from conducto.api import target
from conducto.api.config import Config
from conducto.api.errors import (
    InvalidResponse,
    NotAvailableError,
    UnauthorizedResponse,
    UserInputValidation,
)
from conducto.api.remote import not_yet
from conducto.errors import ClientError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, List, NoReturn, Optional

_LAUNCH = "`co.launch(tree, run=False)` returns a pipeline that has not started."
_HANDLE = "`co.get_pipeline` and `co.list_pipelines` return handles with all actions."
_UNAUTHORIZED = 401
_LOGIN = "Local pipelines need no login; give a token with `conducto-profile add --token`."


class Auth:
    """Log-in and tokens."""

    def get_unverified_claims(self, token: str | None = None) -> dict[str, object]:
        """Return the claims of a JSON Web Token; its signature is not checked.

        Raises:
            UserInputValidation: There is no token, or it is not of that kind.
        """
        chosen = Config().get_token() if token is None else token
        if chosen is None:
            raise UserInputValidation(f"no token is known. {_LOGIN}")
        try:
            body = chosen.split(".")[1]
            claims = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
        except (IndexError, ValueError, binascii.Error) as error:
            raise UserInputValidation("the token contains no readable claims") from error
        if not isinstance(claims, dict):
            raise UserInputValidation("the token contains no readable claims")
        return claims

    def get_token_from_shell(self, *args: object, **kwargs: object) -> str | None:
        """Return the known token, or None; see `Config.get_token_from_shell`."""
        return Config().get_token_from_shell(*args, **kwargs)

    def get_user_id(self, token: str | None = None) -> object:
        """Return the claim ``sub``, or ``None``."""
        return self.get_unverified_claims(token).get("sub")

    def is_anonymous(self, token: str | None = None) -> bool:
        """Return whether the token belongs to an anonymous user."""
        return self.get_unverified_claims(token).get("user_type") == "anonymous"

    get_token = not_yet("Logging in", _LOGIN)
    get_auth = not_yet("Logging in", _LOGIN)
    get_account_token = not_yet("Logging in", _LOGIN)
    list_accounts = not_yet("Listing accounts", _LOGIN)
    select_account = not_yet("Choosing an account", _LOGIN)
    get_refreshed_token = not_yet("Refreshing a token", _LOGIN)
    refresh_auth = not_yet("Refreshing a token", _LOGIN)
    signout = not_yet("Logging out", "`conducto-profile delete` removes a stored token.")
    change_password = not_yet("Changing a password", _LOGIN)
    get_email = not_yet("Asking a server for the account's address", _LOGIN)
    get_credentials = not_yet("Obtaining cloud credentials", _LOGIN)
    get_ecr_credentials = not_yet("Obtaining registry credentials", _LOGIN)
    admin_create_account = not_yet("Managing accounts", _LOGIN)
    admin_delete_users = not_yet("Managing accounts", _LOGIN)
    test = not_yet("Testing a token against a server", _LOGIN)


class Dir:
    """Organisations, their users and teams."""

    org = not_yet("The directory of organisations")
    org_by_user = not_yet("The directory of organisations")
    org_create = not_yet("Creating an organisation")
    org_create_subscription = not_yet("Subscriptions")
    org_delete = not_yet("Deleting an organisation")
    org_users = not_yet("The directory of users")
    users = not_yet("The directory of users")
    user = not_yet("The directory of users")
    teams = not_yet("The directory of teams")
    bulk_users = not_yet("The directory of users")
    bulk_orgs_by_users = not_yet("The directory of organisations")
    accept_invite = not_yet("Invitations")
    invite_recipient = not_yet("Invitations")
    create_integration_user = not_yet("Integration users")
    delete_integration_user = not_yet("Integration users")


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
        return _described(_found(pipeline_id))

    def list(self, token: str | None = None, user_only: bool = False) -> List[Dict[str, Any]]:
        """Return all pipelines that are not archived, the newest first.

        Args:
            token: Ignored.
            user_only: Only those of this user; those of this machine are.
        """
        del token, user_only
        found = _client("list_pipelines")(**_where())
        return [_described(each) for each in found]

    def archive(self, pipeline_id: str, token: str | None = None) -> None:
        """Stop a pipeline and remove it from the list."""
        del token
        _answered(_found(pipeline_id).archive)

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
            _answered(_found(pipeline_id).sleep)

    def sleep_standby(self, pipeline_id: str, token: str | None = None) -> None:
        """Put a pipeline to sleep."""
        self.sleep(pipeline_ids=[pipeline_id], token=token)

    create = not_yet("Creating a pipeline without its tree", _LAUNCH)
    save_serialization = not_yet("Storing a tree for a later launch", _LAUNCH)
    update = not_yet("Changing the title or the tags of a pipeline", _HANDLE)
    perms = not_yet("Asking a server for permissions", "`conducto whoami` prints yours.")
    touch = not_yet("Prolonging a pipeline", "Every action on it does.")
    setcheck_runthrottle = not_yet(
        "The server's launch limit", "`conducto whoami` prints the plan."
    )
    get_history = not_yet("The server's history of pipelines", "`co.list_pipelines` has filters.")
    agent_list = not_yet("Listing agents", "`conducto agent status` shows this machine's.")
    get_agent = not_yet("Asking for an agent", "`conducto agent status` shows this machine's.")
    admin_delete_logs = not_yet(
        "Deleting logs on a server", "`conducto delete` deletes a pipeline."
    )


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
        _answered(_found(pipeline_id).wake)


class Analytics:
    """Statistics of past pipelines."""

    def get_pipeline_summary(self, pipeline_id: str) -> dict[str, Any]:
        """Return the state of a pipeline and its Execs by state."""
        return _described(_found(pipeline_id))

    get_data_summary = not_yet("Statistics of all pipelines", "`conducto usage` prints them.")


def _client(name: str) -> Callable[..., Any]:
    """Return a function of the Python client, which raises the errors of this package."""
    function: Any = _host.client_name(name)
    return lambda *args, **kwargs: _answered(lambda: function(*args, **kwargs))


def _found(pipeline_id: str) -> Any:
    return _client("get_pipeline")(pipeline_id, **_where())


def _where() -> dict[str, str | None]:
    return {"target": target.of_launch(), "profile": target.profile_of_launch()}


def _answered(call: Callable[[], Any]) -> Any:
    """Return the result of a call; raise the errors that callers of the original expect."""
    try:
        return call()
    except (ClientError, UsageError) as error:
        status = getattr(error, "status", None)
        kind = UnauthorizedResponse if status == _UNAUTHORIZED else InvalidResponse
        raise kind(str(error), status_code=status) from error


def _described(pipeline: Any) -> dict[str, Any]:
    """Return a pipeline in the form of the original, as far as it is known."""
    summary = _answered(lambda: pipeline.summary)
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


def get_auth_headers(
    token: str | None = None, refresh: bool = True, force_refresh: bool = False
) -> dict[str, str]:
    """Return the HTTP headers that carry a token.

    Raises:
        UserInputValidation: There is no token.
    """
    chosen = Config().get_token(refresh, force_refresh) if token is None else token
    if chosen is None:
        raise UserInputValidation(f"no token is known. {_LOGIN}")
    return {"Authorization": f"bearer {chosen}", "Content-Type": "application/json"}
