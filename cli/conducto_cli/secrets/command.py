"""``conducto secrets``. A value comes from a prompt, stdin or a variable, never from a word."""

# ruff: noqa: PLC0415
# `--help` and completion import this module: the client's imports wait until the command runs.

from __future__ import annotations

import argparse
import getpass
import os
import sys
from typing import TYPE_CHECKING

from conducto.errors import UsageError
from conducto.wire import secret_names
from conducto.wire.printable import printable, suggestion
from conducto_cli.app.arguments import add_json, add_subcommand, add_yes, confirmed, keep_quiet
from conducto_cli.app.exit import DONE, FAILED
from conducto_cli.app.records import moment, show, show_list
from conducto_cli.app.registry import COMMANDS

if TYPE_CHECKING:
    from conducto_cli.app.arguments import Parser
    from conducto_cli.target.connection import OpenClient
    from conducto_core.secrets.model import SecretInfo


_COLUMNS = ("NAME", "SET", "SCOPE", "MASKED", "STORED")
#: Error for a value that is given as a word.
NAME_ALONE = (
    "Give the name alone: a value on the command line is seen in the list of processes and stays "
    "in the shell's history. Type it when asked, pipe it in, or use --from-env VARIABLE"
)


def add_arguments(parser: Parser) -> None:
    about = COMMANDS["secrets"].details
    commands = parser.add_subparsers(dest="what", metavar="list|set|delete", required=True)
    listing = add_subcommand(commands, "list", "list secrets, without values")
    setting = add_subcommand(commands, "set", "store a secret over one of the same name", about)
    setting.add_argument("name", metavar="NAME", help="name of the variable")
    # Accepted in order to be rejected without being printed, as argparse would.
    setting.add_argument("given", nargs="*", help=argparse.SUPPRESS)
    setting.add_argument("--from-env", metavar="VARIABLE", help="take the value of this variable")
    setting.add_argument(
        "--from",
        metavar="REFERENCE",
        dest="reference",
        help="the value stays in another store: aws-sm:NAME, ssm:/NAME, vault:PATH#FIELD, op://…",
    )
    setting.add_argument("--no-mask", action="store_true", help="let commands print it")
    deleting = add_subcommand(commands, "delete", "delete secrets")
    deleting.add_argument("names", metavar="NAME", nargs="+")
    add_yes(deleting)
    for each in (setting, deleting):
        each.add_argument(
            "--secret-set",
            metavar="SET",
            default="",
            help="in a set, such as prod: only pipelines launched with it get the secret",
        )
        each.add_argument(
            "--org", action="store_true", help="of the organisation (default: of the user)"
        )
    add_json(listing, setting, deleting)
    keep_quiet(parser, NAME_ALONE)


def run(arguments: argparse.Namespace, open_client: OpenClient) -> int:
    verbs = {"list": _list, "set": _set, "delete": _delete}
    return verbs[arguments.what](arguments, open_client)


def _list(arguments: argparse.Namespace, open_client: OpenClient) -> int:
    with open_client() as client:
        found = client.secrets()
    none = "no secrets yet; store one: conducto secrets set NAME"
    more = (f"values are {found.kept}",)
    return show_list(arguments, found.secrets, _COLUMNS, _cells, none, whole=found, more=more)


def _set(arguments: argparse.Namespace, open_client: OpenClient) -> int:
    from conducto_core.secrets.model import PutSecrets, SecretValue

    name = arguments.name
    if arguments.given or "=" in name:
        raise UsageError(NAME_ALONE)
    _check_name(name)
    reference = arguments.reference
    if reference is not None and arguments.from_env is not None:
        raise UsageError("give --from or --from-env, not both")
    value = "" if reference is not None else _value(name, arguments.from_env)
    try:
        secret_names.check_value(name, value)
    except ValueError as error:
        raise UsageError(str(error)) from error
    fields = {"value": value, "mask": not arguments.no_mask, "reference": reference}
    secret = SecretValue.model_validate({**_key(arguments, name), **fields})
    with open_client() as client:
        response = client.put_secrets(PutSecrets(secrets=(secret,)))
    for note in response.notes if not arguments.json else ():
        print(f"conducto: {note}", file=sys.stderr)
    kept = response.kept if reference is None else f"to the value of {printable(reference)}"
    text = f"{name} is set, {kept}; commands that start from now on see it"
    return show(arguments, response, text)


def _delete(arguments: argparse.Namespace, open_client: OpenClient) -> int:
    from conducto_core.secrets.model import DeleteSecrets, SecretKey

    for name in arguments.names:
        _check_name(name)
    keys = tuple(SecretKey.model_validate(_key(arguments, name)) for name in arguments.names)
    if not confirmed(f"Delete the secrets {', '.join(arguments.names)}?", yes=arguments.yes):
        return FAILED
    with open_client() as client:
        response = client.delete_secrets(DeleteSecrets(keys=keys))
    missing = [key for key in keys if key not in response.changed]
    deleted = (
        f"{key.key} is deleted; commands that start from now on do not see it"
        for key in response.changed
    )
    show(arguments, response, deleted)
    for key in missing:
        hint = suggestion(key.key, [s.key for s in response.secrets if s.scope == key.scope])
        known = hint or "; see 'conducto secrets list'"
        print(f"conducto: no secret {key.key!r} of scope {key.scope}{known}", file=sys.stderr)
    return FAILED if missing else DONE


def _key(arguments: argparse.Namespace, name: str) -> dict[str, str]:
    try:
        secret_set = secret_names.check_set(arguments.secret_set)
    except ValueError as error:
        raise UsageError(f"--secret-set: {error}") from error
    scope = "org" if arguments.org else "user"
    return {"scope": scope, "key": name, "secret_set": secret_set}


def _check_name(name: str) -> None:
    """Reject an invalid name, without repeating it: it may be a value in the wrong place."""
    try:
        secret_names.check_key(name)
    except ValueError as error:
        raise UsageError(f"the given name{str(error).removeprefix(repr(name))}") from None


def _value(name: str, variable: str | None) -> str:
    """Return the value, from a variable, a person at the terminal, or stdin."""
    if variable is not None:
        if variable not in os.environ:
            # Not repeated: it may be the value itself.
            raise UsageError(
                f"{name}: there is no such environment variable; --from-env takes the name of one"
            )
        value = os.environ[variable]
    elif sys.stdin.isatty():
        value = _asked(name)
    else:
        value = _piped(name)
    if not value:
        raise UsageError(f"{name}: the value is empty; 'conducto secrets delete {name}' removes it")
    return value


def _asked(name: str) -> str:
    try:
        return getpass.getpass(f"value of {name} (not shown): ")
    except EOFError:
        return ""


def _piped(name: str) -> str:
    data = sys.stdin.buffer.read(secret_names.MAX_VALUE + 2)
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise UsageError(f"{name}: stdin is not UTF-8 text; encode it, e.g. base64") from error
    # `echo` adds a line end that does not belong to a token; several lines are kept as they are.
    line = text.removesuffix("\n").removesuffix("\r")
    return text if "\n" in line else line


def _cells(secret: SecretInfo) -> tuple[str, ...]:
    masked = "yes" if secret.masked else "no: too short" if secret.mask else "no"
    changed = moment(secret.updated)
    if secret.reference is not None:
        changed += f", from {printable(secret.reference)}"
    return (secret.key, secret.secret_set or "-", secret.scope, masked, changed)
