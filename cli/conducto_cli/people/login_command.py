"""``conducto login``: sign in at a cloud installation and keep the token in the profile."""

# ruff: noqa: PLC0415
# `--help` and completion import this module: the client's imports wait until the command runs.

from __future__ import annotations

import getpass
import sys
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from conducto.errors import UsageError
from conducto_cli.app.arguments import keep_quiet
from conducto_cli.app.exit import DONE

if TYPE_CHECKING:
    import argparse

    from conducto_cli.app.arguments import Parser
    from conducto_cli.target.account import SignedInAccount


#: Error for a token that is given as a word.
_NOT_A_WORD = (
    "--token takes '-' only, and then reads the token from standard input: "
    "conducto login --url URL --token - <file; without it you are asked"
)
_SCHEMES = ("https", "http")


def add_arguments(parser: Parser) -> None:
    parser.add_argument(
        "--url",
        metavar="URL",
        help="of the web app, to sign in with a browser, or of the API, to log in with a token, as "
        "'conducto deploy' printed them (default: as now)",
    )
    parser.add_argument(
        "--token",
        metavar="-",
        help="read a token from standard input; without it, sign in with a browser, or enter one",
    )
    parser.add_argument(
        "--invitation",
        metavar="-",
        nargs="?",
        const="",
        help="accept an invitation: you are asked for its code; '-' reads it from standard input",
    )
    parser.add_argument(
        "--ci",
        metavar="ORG",
        help="get a token of an hour for this CI run, if a trust of the organisation ORG allows it "
        "('conducto trusts')",
    )
    keep_quiet(parser, _NOT_A_WORD)


def run(arguments: argparse.Namespace) -> int:
    from conducto_cli.people import sign_in as browser_login
    from conducto_cli.people import sign_in as ci_login
    from conducto_cli.target import account as cloud_account
    from conducto_cli.target.account import SignedInAccount

    url = _checked_url(arguments.url, arguments.profile)
    if arguments.invitation is not None:
        account = _invited(url, arguments.invitation)
    elif arguments.ci is not None:
        account = ci_login.log_in(url, arguments.ci)
    elif arguments.token is None and browser_login.has_provider(url):
        account = browser_login.sign_in(url)
    else:
        account = SignedInAccount(url, _token(arguments.token))
    with account.client() as client:
        who = client.who_am_i()
    cloud_account.warn_of_version(who)
    name = cloud_account.save_login(replace(account, org=who.org, user=who.user), arguments.profile)
    print(f"logged in at {url} as {who.user} of {who.org} (profile {name})")
    return DONE


def _invited(url: str, given: str) -> SignedInAccount:
    from conducto_cli.people import sign_in as browser_login
    from conducto_cli.target.account import SignedInAccount

    if browser_login.has_provider(url):
        raise UsageError(
            "this installation signs people in with a browser: open the link of the invitation, "
            "and then run 'conducto login' without --invitation"
        )
    code = _token(given or None, "code of the invitation: ")
    with SignedInAccount(url, code).client() as client:
        member = client.accept_invitation()
    return SignedInAccount(url, member.token)


def _checked_url(given: str | None, profile: str | None) -> str:
    from conducto_cli.target import account as cloud_account

    known = cloud_account.account_of(profile)
    url = (given or (known.url if known is not None else "")).rstrip("/")
    if not url:
        raise UsageError("say where: conducto login --url URL ('conducto deploy' printed it)")
    if not _is_address(url):
        raise UsageError(f"--url: {url!r} is not an address such as https://host/api")
    return url


def _is_address(url: str) -> bool:
    """Whether requests can be sent there: a scheme, a host, and a port that is a number."""
    try:
        parts = urlsplit(url)
        port = parts.port  # raises ValueError if it is not a number, or too large
    except ValueError:
        return False
    plain = url.isascii() and url.isprintable() and " " not in url
    return parts.scheme in _SCHEMES and bool(parts.hostname) and port != 0 and plain


def _token(given: str | None, question: str = "token: ") -> str:
    """Return the token: asked for, or the first line of standard input for ``-``."""
    if given not in (None, "-"):
        # Others on the machine see command lines, and shells remember them.
        raise UsageError(_NOT_A_WORD)
    if given == "-":
        token = sys.stdin.readline()
    elif not sys.stdin.isatty():
        raise UsageError("there is no terminal to ask on; give the token with --token - <file")
    else:
        token = getpass.getpass(question)
    token = token.strip()
    if not token or not token.isascii() or any(letter.isspace() for letter in token):
        raise UsageError("invalid token: expected one line such as cdo_…, without spaces")
    return token
