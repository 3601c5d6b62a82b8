"""The owner of the user secrets that a pipeline's commands get: one rule for every target.

A command gets its owner's secrets, whichever user resets or runs it. So once another user has
changed what commands do, all later attempts of the pipeline run without them: a changed command,
image or data file can also change what the pipeline's other commands do.
"""

import re
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from difflib import get_close_matches
from typing import Any, NamedTuple

from conducto_core.errors import RefusedError
from conducto_core.run.model.records import ForeignChange, PipelineRecord
from conducto_core.run.model.requests import Action

#: Operations that can change what a command does: actions, and changes of its tree or its data.
CHANGES = frozenset(
    {
        Action.MODIFY.value,
        Action.REBUILD.value,
        "continue",
        "write_data",
        "delete_data",
        "remote_shell",
    }
)


def changed(record: PipelineRecord, change: str, by: str, now: float) -> PipelineRecord:
    """Return the record of a pipeline after a change; only the first one by another user is kept.

    After any user's change, it is no longer the program that its trigger proved.

    Args:
        record: Record before the change.
        change: The operation; operations that are not in `CHANGES` change no command.
        by: User who made it; "" is Conducto itself.
        now: Seconds since the epoch.
    """
    if change not in CHANGES or by == "":
        return record
    if record.git is not None and record.git.path is not None:
        git = record.git.model_copy(update={"path": None})
        record = record.model_copy(update={"git": git})
    if by == record.owner or record.foreign_change is not None:
        return record
    foreign = ForeignChange(by=by, change=change, time=now)
    return record.model_copy(update={"foreign_change": foreign})


def granted(
    env: Mapping[str, str], secrets: Collection[str], names: Collection[str] | None
) -> dict[str, str]:
    """Return the variables of a command that gets only some secrets.

    Args:
        env: All secrets, and variables that are none.
        secrets: The names of all secrets.
        names: Those that the command gets; None: all.
    """
    return {k: v for k, v in env.items() if names is None or k in names or k not in secrets}


def missing(form: Mapping[str, Any], known: Collection[str]) -> list[str]:
    """Return a warning for each name in ``secrets=`` of a launch form that no secret has.

    >>> form = {"nodes": [{"secrets": ["NPM_TOKN"]}, {"secrets": ["NPM_TOKEN"]}, {}]}
    >>> missing(form, ["NPM_TOKEN"])
    ["there is no secret 'NPM_TOKN', which secrets= names; did you mean 'NPM_TOKEN'?"]
    """
    named = dict.fromkeys(name for node in form["nodes"] for name in node.get("secrets") or ())
    found = []
    for name in named:
        if name not in known:
            near = get_close_matches(name, known, 1)
            remedy = f"did you mean {near[0]!r}?" if near else f"run: conducto secrets set {name}"
            found.append(f"there is no secret {name!r}, which secrets= names; {remedy}")
    return found


class SecretAccess(NamedTuple):
    """The secrets that commands get.

    Attributes:
        user: The user whose secrets they are; None: no user's.
        org: Whether they get those of the organisation.
    """

    user: str | None
    org: bool = True


def is_untrusted(record: PipelineRecord) -> bool:
    """Return whether a pipeline runs code of a pull request from a fork."""
    return record.git is not None and record.git.untrusted


def check_shell(record: PipelineRecord) -> None:
    """Check that a debug shell may open.

    Raises:
        RefusedError: The pipeline runs code of a pull request from a fork.
    """
    if is_untrusted(record):
        raise RefusedError(
            f"{record.id} runs a pull request from a fork: debug shells are not allowed; check the "
            "branch out and debug it on your machine"
        )


def check_template(record: PipelineRecord) -> None:
    """Check that a pipeline may become the template of a schedule, which runs with all secrets.

    Raises:
        RefusedError: The pipeline runs code of a pull request from a fork.
    """
    if is_untrusted(record):
        raise RefusedError(
            f"{record.id} runs a pull request from a fork: it cannot be the template of a "
            "schedule; use a pipeline of your own repository"
        )


def secret_access(record: PipelineRecord) -> SecretAccess:
    """Return the secrets that commands of a pipeline get."""
    return SecretAccess(secrets_user(record), org=not is_untrusted(record))


def secrets_user(record: PipelineRecord) -> str | None:
    """Return the user whose secrets and user data commands get, or None."""
    trusted = record.foreign_change is None and not is_untrusted(record)
    return record.owner if trusted else None


def withheld(record: PipelineRecord) -> str | None:
    """Return a sentence on why commands run without user secrets; None if they have them."""
    if is_untrusted(record):
        return "runs without secrets and user data: it is a pull request from a fork"
    foreign = record.foreign_change
    if foreign is None:
        return None
    when = f"{datetime.fromtimestamp(foreign.time, UTC):%Y-%m-%d %H:%M} UTC"
    return (
        f"runs without the user secrets of {record.owner}: {foreign.by} changed this pipeline "
        f"({foreign.change.replace('_', ' ')}, {when}); launch it again to run it with your own"
    )


# ---- references to other stores ------------------------------------------------------------------


class Reference(NamedTuple):
    """A secret in another store.

    Attributes:
        store: ``aws-sm``, ``ssm``, ``vault`` or ``op``.
        name: Its name there.
        version: A version of it, whose value does not change; None for the newest.
        key: A member of its value, which is a JSON object; for ``vault`` the field.
    """

    store: str
    name: str
    version: str | None = None
    key: str | None = None


_REFERENCES = (
    "aws-sm:NAME_OR_ARN[?version=ID][#KEY], ssm:/NAME[?version=N], vault:PATH[?version=N]#FIELD, "
    "op://VAULT/ITEM/FIELD"
)
_NAME = re.compile(r"[A-Za-z0-9/_+=.@:-]{1,512}\Z")
_OP_NAME = re.compile(r"[A-Za-z0-9_. -]{1,128}(/[A-Za-z0-9_. -]{1,128}){2,3}\Z")
_VERSION = re.compile(r"[A-Za-z0-9-]{1,64}\Z")


def parse_reference(text: str) -> Reference:
    """Return a reference from its text.

    >>> parse_reference("vault:secret/prod?version=3#password")
    Reference(store='vault', name='secret/prod', version='3', key='password')

    Raises:
        ValueError: It is not valid.
    """
    store, colon, rest = text.partition(":")
    if not colon or store not in ("aws-sm", "ssm", "vault", "op"):
        raise ValueError(f"{text!r} is not a reference to a secret; possible are {_REFERENCES}")
    rest, sharp, key = rest.partition("#")
    name, mark, version = rest.partition("?version=")
    if store == "op":
        name = name.removeprefix("//")
    valid = (_OP_NAME if store == "op" else _NAME).match(name) and not name.startswith("-")
    wrong_key = bool(sharp) != bool(key) or len(key) > 256 or not key.isprintable()  # noqa: PLR2004
    if not valid or wrong_key or (mark and not _VERSION.match(version)):
        raise ValueError(f"{text!r} is not a valid reference; possible are {_REFERENCES}")
    if (store == "vault") != bool(key) and store != "aws-sm":
        raise ValueError(
            f"{text!r} names no field; add one, as in vault:secret/prod#password"
            if store == "vault"
            else f"{text!r} has a key, which {store} does not have; remove {sharp}{key}"
        )
    if store == "op" and mark:
        raise ValueError(f"{text!r} has a version, which op does not have; remove it")
    return Reference(store, name, version or None, key or None)


def cache_refusal(references: Mapping[str, str]) -> str | None:
    """Return why a command with these secrets by reference has no key in the cache, or None."""
    for name, text in references.items():
        if parse_reference(text).version is None:
            return (
                f"its secret {name} is {text}, whose value may change there; add ?version= to the "
                "reference"
            )
    return None
