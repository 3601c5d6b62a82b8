"""Which cloud installation a profile is logged in to, kept in the profile's file (mode 0600)."""

import argparse
import sys
import time
from dataclasses import dataclass, field
from typing import TypeVar, cast

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from conducto.api.config import Config, current_profile
from conducto.errors import UsageError
from conducto.version import __version__
from conducto_client.transport.cloud import CloudClient, CloudTransport
from conducto_client.transport.http import TIMEOUT
from conducto_client.transport.port import Endpoint
from conducto_core.api.cloud_operations import WhoAmI
from conducto_core.api.operation import Operation
from conducto_core.record import ADDRESS_PATTERN, NAME_PATTERN, SCHEDULE_NAME_PATTERN, Record
from conducto_core.run.model.params import NoParams

P = TypeVar("P", bound=Record)
B = TypeVar("B")
R = TypeVar("R", bound=Record)

NOT_LOGGED_IN = "not logged in to a cloud installation; log in: conducto login --url URL"
#: ``{pattern: what it means}``.
_SHAPES = {
    NAME_PATTERN: "write at most 63 letters, digits, '.', '_' and '-', the first a letter or digit",
    SCHEDULE_NAME_PATTERN: (
        "write at most 64 letters, digits, '.', '_' and '-', the first a letter or digit"
    ),
    ADDRESS_PATTERN: "write an address, such as https://github.com/acme/app, without a password",
}
#: Seconds between two lines about the same wait.
_TELL_SECONDS = 10.0
#: Options of a profile's ``[general]``.
_FIELDS = ("url", "token", "org_id", "email")


@dataclass(frozen=True, slots=True)
class SignedInAccount:
    """An account at an installation.

    Attributes:
        url: Of the API.
        org: Organisation.
        user: Name in it.
    """

    url: str
    token: str = field(repr=False)
    org: str = ""
    user: str = ""

    def client(self, timeout: float = TIMEOUT) -> CloudClient:
        """Return a client for it, which waits ``timeout`` seconds for a response."""
        endpoint = Endpoint(self.url, self.token)
        transport = CloudTransport(endpoint, timeout=timeout, waiting=Waiting())
        return CloudClient(transport)


class Waiting:
    """Prints on stderr why a request waits, now and then."""

    def __init__(self) -> None:
        self._printed_at = -_TELL_SECONDS

    def __call__(self, what: str) -> None:
        """Print the reason, unless a line was printed a moment ago."""
        if time.monotonic() - self._printed_at >= _TELL_SECONDS:
            print(f"conducto: {what}", file=sys.stderr)
            self._printed_at = time.monotonic()


def profile_named(profile: str | None) -> str:
    """Return the profile that is meant; None is the one in use."""
    return current_profile() if profile is None else profile


def account_of(profile: str | None = None) -> SignedInAccount | None:
    """Return the account that a profile is logged in to; the environment goes before.

    ``CONDUCTO_URL`` and ``CONDUCTO_TOKEN`` are meant for machines, e.g. of CI.
    """
    import os  # noqa: PLC0415 - most commands never come here

    url, token, org, user = _stored(profile)
    url, token = os.environ.get("CONDUCTO_URL") or url, os.environ.get("CONDUCTO_TOKEN") or token
    return SignedInAccount(url.rstrip("/"), token, org, user) if url and token else None


def stored_account(profile: str | None = None) -> SignedInAccount | None:
    """Return the account in a profile's file, whatever the environment says."""
    url, token, org, user = _stored(profile)
    return SignedInAccount(url.rstrip("/"), token, org, user) if url and token else None


def _stored(profile: str | None) -> tuple[str, ...]:
    general = Config.get_profile_config(profile_named(profile))
    return tuple(general.get("general", name, fallback="") for name in _FIELDS)


def needed_account(
    profile: str | None = None, *, otherwise: str = " (or stay on this machine: --local)"
) -> SignedInAccount:
    """Return the account that a profile is logged in to.

    Args:
        profile: The profile; None for the default.
        otherwise: End of the error: what to do without an account.

    Raises:
        UsageError: it is not.
    """
    found = account_of(profile)
    if found is None:
        raise UsageError(f"{NOT_LOGGED_IN}{otherwise}")
    return found


def call(
    arguments: argparse.Namespace,
    operation: Operation[P, B, R],
    params: P | dict[str, object] | None = None,
    body: Record | dict[str, object] | None = None,
) -> R:
    """Call an operation of the installation that the profile is logged in to.

    Raises:
        UsageError: The profile is not logged in, or a field has a value that it cannot have.
    """
    if isinstance(params, dict):
        params = checked(operation.params, **params)
    if isinstance(body, dict):
        body = checked(cast("type[Record]", operation.body), **body)
    with needed_account(arguments.profile, otherwise="").client() as client:
        return client.call(operation, cast("P", params or NoParams()), body)


def checked(model: type[R], **fields: object) -> R:
    """Return the record of a request; raises `UsageError` for a value that it cannot have."""
    try:
        return model.model_validate(fields)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False)
        raise UsageError("; ".join(map(_sentence, found))) from None


def _sentence(error: ErrorDetails) -> str:
    message = error["msg"].removeprefix("Value error, ")
    shapes = (said for pattern, said in _SHAPES.items() if message.endswith(f"'{pattern}'"))
    message = next(shapes, message)
    return f"{'.'.join(map(str, error['loc']))}: {message}" if error["loc"] else message


def profiles() -> list[tuple[str, SignedInAccount]]:
    found = []
    for name in Config().profile_sections():
        account = stored_account(name)
        if account is not None:
            found.append((name, account))
    return found


def use_by_default(profile: str) -> None:
    """Make a profile the default one."""
    Config().set("general", "default", profile)


def save_login(account: SignedInAccount, profile: str | None = None) -> str:
    """Log a profile in; return its name.

    The profile in use keeps its local pipelines, so it is logged in, too. A profile of another
    account is not changed: the new account gets its own profile, which becomes the default.
    """
    config = Config()
    name = profile_named(profile)
    there = Config.get_profile_config(name)
    known = tuple(there.get("general", option, fallback="") for option in ("url", "org_id"))
    if profile is None and any(known) and known != (account.url, account.org):
        return config.write_profile(
            account.url, account.token, org_id=account.org, email=account.user
        )
    values = (account.url, account.token, account.org, account.user)
    for option, value in zip(_FIELDS, values, strict=True):
        config.set_profile_general(name, option, value)
    return name


def forget(profile: str | None = None) -> bool:
    """Log a profile out; return whether it was logged in."""
    name = profile_named(profile)
    parser = Config.get_profile_config(name)
    if not parser.has_option("general", "token"):
        return False
    parser.remove_option("general", "token")
    Config.write_profile_config(name, parser)
    return True


def warn_of_version(who: WhoAmI) -> None:
    """Warn on stderr if the installation has another major version."""
    if who.version.split(".")[0] != __version__.split(".")[0]:
        print(
            f"conducto: the installation has version {who.version}, this client {__version__}; "
            "install the same one, or deploy again",
            file=sys.stderr,
        )
