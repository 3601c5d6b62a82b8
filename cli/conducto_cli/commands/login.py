"""``conducto login``, ``logout`` and ``whoami``: who one is at a cloud installation."""

import argparse
import getpass
import sys
from dataclasses import replace
from urllib.parse import urlsplit

from conducto.version import __version__
from conducto_cli import cloud_account
from conducto_cli.cloud_account import Account
from conducto_cli.exit_codes import DONE, FAILED
from conducto_cli.output import as_json
from conducto_cli.references import UsageError
from conducto_cli.target import LOGIN_HINT, _Parser
from conducto_core.model.operations.cloud import WhoAmI

_SCHEMES = ("https", "http")


def login(arguments: argparse.Namespace) -> int:
    """Check a token at an installation and keep it in the profile."""
    url = _checked_url(arguments.url, arguments.profile)
    account = Account(url, _token(arguments.token))
    with account.client() as client:
        who = client.who_am_i()
    _warn_of_version(who)
    name = cloud_account.keep(replace(account, org=who.org, user=who.user), arguments.profile)
    print(f"logged in at {url} as {who.user} of {who.org} (profile {name})")
    return DONE


def logout(arguments: argparse.Namespace) -> int:
    """Forget the profile's token."""
    if not cloud_account.forget(arguments.profile):
        print("not logged in")
        return DONE
    print(
        "logged out; the token itself stays good until it expires: an administrator can take it "
        "back with 'conducto admin revoke-token'"
    )
    return DONE


def whoami(arguments: argparse.Namespace) -> int:
    """Print whose the profile's token is, as the installation says."""
    account = cloud_account.account_of(arguments.profile)
    if account is None:
        print("null" if arguments.json else cloud_account.NOT_LOGGED_IN)
        return FAILED
    with account.client() as client:
        who = client.who_am_i()
    _warn_of_version(who)
    if arguments.json:
        print(as_json({"url": account.url, **who.model_dump(mode="json")}))
        return DONE
    print(
        f"{who.user} of {who.org} at {account.url}\n"
        f"plan: {who.plan}\n"
        f"may: {', '.join(who.permissions)}"
    )
    return DONE


def _checked_url(given: str | None, profile: str | None) -> str:
    known = cloud_account.account_of(profile)
    url = (given or (known.url if known is not None else "")).rstrip("/")
    if not url:
        raise UsageError("say where: conducto login --url URL ('conducto deploy' printed it)")
    if not _is_address(url):
        raise UsageError(f"--url: {url!r} is no address such as https://host/api")
    return url


def _is_address(url: str) -> bool:
    """Whether requests can be sent there: a scheme, a host, and a port that is a number."""
    try:
        parts = urlsplit(url)
        port = parts.port  # raises ValueError for what is no number, or too large
    except ValueError:
        return False
    plain = url.isascii() and url.isprintable() and " " not in url
    return parts.scheme in _SCHEMES and bool(parts.hostname) and port != 0 and plain


def _token(given: str | None) -> str:
    """Return the token: asked for, or the first line of standard input for ``-``."""
    if given not in (None, "-"):
        # Others on the machine see command lines, and shells remember them.
        raise UsageError(LOGIN_HINT)
    if given == "-":
        token = sys.stdin.readline()
    elif not sys.stdin.isatty():
        raise UsageError("there is no terminal to ask on; give the token with --token - <file")
    else:
        token = getpass.getpass("token: ")
    token = token.strip()
    if not token or not token.isascii() or any(letter.isspace() for letter in token):
        raise UsageError("this is no token: one line such as cdo_…, without spaces")
    return token


def _warn_of_version(who: WhoAmI) -> None:
    if who.version.split(".")[0] != __version__.split(".")[0]:
        print(
            f"conducto: the installation has version {who.version}, this client {__version__}; "
            "install the same one, or deploy anew",
            file=sys.stderr,
        )


def add_login(login: _Parser, logout: _Parser, whoami: _Parser) -> None:
    """Add the options of the verbs about an account."""
    login.add_argument(
        "--url", metavar="URL", help="of the API, as 'conducto deploy' printed it (default: as now)"
    )
    login.add_argument(
        "--token",
        metavar="-",
        help="read the token from standard input; without it you are asked for it",
    )
    whoami.add_argument("--json", action="store_true", help="machine-readable")
    del logout  # it takes nothing
