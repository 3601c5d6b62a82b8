"""``conducto logout``: forget the token of the cloud installation, and revoke it."""

# ruff: noqa: PLC0415
# `--help` and completion import this module: the client's imports wait until the command runs.

from __future__ import annotations

from typing import TYPE_CHECKING

from conducto_cli.app.exit import DONE

if TYPE_CHECKING:
    import argparse

    from conducto_cli.app.arguments import Parser
    from conducto_cli.target.account import SignedInAccount

#: Seconds that the revocation may take: logging out works without a network, too.
_SECONDS = 10.0


def add_arguments(_parser: Parser) -> None:
    """Add nothing: the command has no arguments."""


def run(arguments: argparse.Namespace) -> int:
    from conducto_cli.target import account as cloud_account

    account = cloud_account.stored_account(arguments.profile)
    if not cloud_account.forget(arguments.profile):
        print("not logged in")
        return DONE
    print(f"logged out; {_end_of_token(account)}")
    return DONE


def _end_of_token(account: SignedInAccount | None) -> str:
    """Revoke a log-in's token; return a clause about its end."""
    from conducto_cli.target import account as cloud_account
    from conducto_client.errors import AgentUnreachableError, ApiError
    from conducto_core.people.model import TokenListParams, TokenParams
    from conducto_core.people.operations import LIST_TOKENS, REVOKE_TOKEN

    if account is None:
        return "the token is removed from this profile"
    shared = [name for name, other in cloud_account.profiles() if other.token == account.token]
    if shared:
        return f"the token stays valid, because profile {shared[0]} uses it"
    try:
        with account.client(_SECONDS) as client:
            listed = client.call(LIST_TOKENS, TokenListParams()).tokens
            own = next((one for one in listed if one.current), None)
            if own is not None and own.kind == "login":
                client.call(REVOKE_TOKEN, TokenParams(id=own.id))
                return "the token is revoked"
    except (AgentUnreachableError, ApiError) as error:
        return (
            f"the token was not revoked and stays valid until it expires: {error}; revoke it in "
            "the web app, or ask an administrator to"
        )
    command = "conducto tokens revoke" + ("" if own is None else f" {own.id}")
    return f"the token was not created by a log-in and stays valid; revoke it with '{command}'"
