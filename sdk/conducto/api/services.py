"""Placeholders for the services of a Conducto server.

Scripts import these at their top; only calling a method fails. Methods that need no server (such as
reading a token's claims) work.
"""

from __future__ import annotations

import base64
import binascii
import json

from conducto.api.config import Config
from conducto.api.errors import NotAvailableError, UserInputValidation
from conducto.api.remote import LOCAL_COMMANDS, not_yet

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

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
    """Pipelines on a server."""

    create = not_yet("Creating a pipeline on a server", "Launch with --local.")
    save_serialization = not_yet("Storing a tree on a server", "Launch with --local.")
    get = not_yet("Asking a server for a pipeline", LOCAL_COMMANDS)
    list = not_yet("Listing a server's pipelines", LOCAL_COMMANDS)
    update = not_yet("Changing a pipeline on a server", LOCAL_COMMANDS)
    archive = not_yet("Archiving a pipeline on a server", LOCAL_COMMANDS)
    perms = not_yet("Asking a server for permissions", LOCAL_COMMANDS)
    touch = not_yet("Prolonging a pipeline on a server", LOCAL_COMMANDS)
    sleep = not_yet("Putting a server's pipelines to sleep", LOCAL_COMMANDS)
    sleep_standby = not_yet("Putting a server's pipelines to sleep", LOCAL_COMMANDS)
    setcheck_runthrottle = not_yet("The server's launch limit", LOCAL_COMMANDS)
    get_history = not_yet("The server's history of pipelines", LOCAL_COMMANDS)
    agent_list = not_yet("Listing agents", "`conducto agent status` shows this machine's.")
    get_agent = not_yet("Asking for an agent", "`conducto agent status` shows this machine's.")
    admin_delete_logs = not_yet("Deleting logs on a server", LOCAL_COMMANDS)


class Manager:
    """Launching on a server."""

    launch = not_yet("Launching in the cloud", "Launch with --local.")


class Analytics:
    """Statistics of past pipelines."""

    get_data_summary = not_yet("Analytics", LOCAL_COMMANDS)
    get_pipeline_summary = not_yet("Analytics", LOCAL_COMMANDS)


def connect_to_pipeline(pipeline_id: str, token: str | None = None) -> NoReturn:
    """Raise an error: following a pipeline over a web socket comes later."""
    del token
    raise NotAvailableError(
        f"Following pipeline {pipeline_id} over a web socket", "Use `conducto show`."
    )


def connect_to_ns(token: str | None = None) -> NoReturn:
    """Raise an error: following every pipeline over a web socket comes later."""
    del token
    raise NotAvailableError("Following pipelines over a web socket", LOCAL_COMMANDS)


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
