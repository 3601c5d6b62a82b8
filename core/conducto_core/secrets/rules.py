"""The owner of the user secrets that a pipeline's commands get: one rule for every target.

A command gets its owner's secrets, whichever user resets or runs it. So once another user has
changed what commands do, all later attempts of the pipeline run without them: a changed command,
image or data file can also change what the pipeline's other commands do.
"""

import json
import re
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from conducto.wire import secret_names
from conducto.wire.printable import suggestion
from conducto_core.errors import RefusedError, invalid
from conducto_core.run.model.records import ForeignChange, PipelineRecord
from conducto_core.run.model.requests import Action
from conducto_core.secrets.port import SecretName, SecretRefusedError, SecretStoreError

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


#: Part of a launch form with the set of secrets that the commands get.
SET_PART = "secret_set"


def set_of(form: Mapping[str, Any]) -> str:
    """Return the set of secrets that a launch form names; "" for none.

    Raises:
        DefinitionError: Its name is invalid.
    """
    try:
        return secret_names.check_set(form.get(SET_PART) or "")
    except ValueError as error:
        raise invalid(None, f"--secret-set: {error}") from error


def with_set(form: dict[str, Any], secret_set: str | None) -> dict[str, Any]:
    """Return a launch form with another set of secrets; None keeps its own."""
    return form if secret_set is None else {**form, SET_PART: secret_set}


def check_set_exists(secret_set: str, names: Collection[SecretName]) -> None:
    """Check that a set that a launch names has secrets.

    Raises:
        RefusedError: It has none; the message has the nearest set.
    """
    known = sorted({each.secret_set for each in names} - {""})
    if secret_set in ("", *known):
        return
    hint = suggestion(secret_set, known)
    raise RefusedError(
        f"there are no secrets in the set {secret_set!r}{hint} (sets: "
        f"{', '.join(known) or 'none'}); store one: conducto secrets set NAME --secret-set "
        f"{secret_set}"
    )


def in_order(names: Collection[SecretName], secret_set: str) -> list[SecretName]:
    """Return the names of the secrets of a command; of one variable, the last name applies.

    A secret of the set applies before one without a set, then the user's before the
    organisation's.
    """
    chosen = (each for each in names if each.secret_set in ("", secret_set))
    return sorted(chosen, key=lambda each: (each.secret_set != "", each.scope))


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
            remedy = suggestion(name, known) or f"; run: conducto secrets set {name}"
            found.append(f"there is no secret {name!r}, which secrets= names{remedy}")
    return found


class SecretAccess(NamedTuple):
    """The secrets that commands get.

    Attributes:
        user: The user whose secrets they are; None: no user's.
        org: Whether they get those of the organisation.
        secret_set: The set whose secrets they get, too; "": no set.
    """

    user: str | None
    org: bool = True
    secret_set: str = ""


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
    return SecretAccess(secrets_user(record), not is_untrusted(record), record.secret_set)


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


def value_in(name: str, text: str, stored: str) -> str:
    """Return the value of the secret ``name`` from the text that a store has; no error contains it.

    Raises:
        SecretStoreError: It has no such member, or is not valid for a variable.
    """
    reference, where = parse_reference(text), f"the secret {name} is {text}"
    value: object = stored
    if reference.store == "aws-sm" and reference.key is not None:
        try:
            value = json.loads(stored)[reference.key]
        except (ValueError, KeyError, TypeError):
            raise SecretStoreError(
                f"{where}, whose value is not a JSON object with the key {reference.key!r}"
            ) from None
    found = value if isinstance(value, str) else json.dumps(value)
    try:
        secret_names.check_value(name, found)
    except (TypeError, ValueError) as error:
        raise SecretStoreError(f"{where}: {error}") from None
    if not found:
        raise SecretStoreError(f"{where}, whose value is empty")
    return found


#: In an allowed prefix, the organisation of the caller.
ORG_PART = "{org}"
_PREFIX = re.compile(r"(aws-sm:|ssm:/)[A-Za-z0-9_+=.@-][A-Za-z0-9/_+=.@-]{0,200}\Z")
#: Prefixes of the secrets and parameters of installations, and of AWS's cache of registries.
_OWN = ("conducto", "ecr-pullthroughcache/")
_MAX_PREFIXES = 10


def read_prefixes(text: str) -> tuple[str, ...]:
    """Return the prefixes of references that an installation allows.

    >>> read_prefixes("aws-sm:prod/, ssm:/teams/{org}/")
    ('aws-sm:prod/', 'ssm:/teams/{org}/')

    Raises:
        ValueError: One is invalid; the message has the remedy.
    """
    found = tuple(each.strip() for each in text.split(",") if each.strip())
    for each in found:
        if _PREFIX.match(each.replace(ORG_PART, "org", 1)) is None:
            raise ValueError(
                f"{each!r}: expected the beginning of names, such as aws-sm:prod/, ssm:/prod/ or "
                f"aws-sm:teams/{ORG_PART}/, in which {ORG_PART} is the caller's organisation"
            )
        if any(_overlaps(_plain(each), own) for own in _OWN):
            raise ValueError(
                f"{each!r}: it has secrets of installations; allow names that begin otherwise"
            )
    if len(found) > _MAX_PREFIXES:
        raise ValueError(f"{len(found)} prefixes; the maximum is {_MAX_PREFIXES}")
    return found


def _plain(prefix: str) -> str:
    return prefix.partition(":")[2].removeprefix("/")


def _overlaps(one: str, other: str) -> bool:
    return one.startswith(other) or other.startswith(one.partition(ORG_PART)[0] or other)


def check_allowed(key: str, text: str, org: str, prefixes: Collection[str]) -> Reference:
    """Return a reference that an installation may read for an organisation.

    Args:
        key: Name of the secret.
        text: The reference.
        org: The organisation.
        prefixes: Those that the administrator allows.

    Raises:
        SecretRefusedError: It is invalid, or not allowed; the message has the remedy.
    """
    try:
        reference = parse_reference(text)
    except ValueError as error:
        raise SecretRefusedError(f"{key}: {error}") from error
    if reference.store not in ("aws-sm", "ssm"):
        raise SecretRefusedError(
            f"{key} is {text}: a program of a machine reads it, which the cloud does not have; "
            "store the value, copy it to Secrets Manager and use aws-sm:NAME, or run locally"
        )
    name = reference.name
    if name.startswith("arn:"):  # arn:aws:secretsmanager:REGION:ACCOUNT:secret:NAME
        name = name.split(":", 6)[-1] if name.split(":")[2:3] == ["secretsmanager"] else ""
    allowed = [each.replace(ORG_PART, org) for each in prefixes]
    is_own = any(name.removeprefix("/").startswith(own) for own in _OWN)
    if is_own or not any(f"{reference.store}:{name}".startswith(each) for each in allowed):
        known = ", ".join(allowed) or "none"
        raise SecretRefusedError(
            f"{key} is {text}: this installation may not read it (it may read: {known}); store the "
            "value, or ask the administrator: conducto deploy -c "
            f"secret_stores='{reference.store}:{name.rpartition('/')[0] or 'PREFIX'}/'"
        )
    return reference


def cache_refusal(references: Mapping[str, str]) -> str | None:
    """Return why a command with these secrets by reference has no key in the cache, or None."""
    for name, text in references.items():
        if parse_reference(text).version is None:
            return (
                f"its secret {name} is {text}, whose value may change there; add ?version= to the "
                "reference"
            )
    return None
