"""Secrets in requests and answers. A value goes in only; no answer holds one."""

from typing import Annotated, Literal

from pydantic import PlainSerializer, SecretStr

from conducto_core.model.base import Record

Scope = Literal["user", "org"]

#: Shown in full in JSON alone, never in a repr.
Hidden = Annotated[SecretStr, PlainSerializer(SecretStr.get_secret_value, when_used="json")]


class SecretKey(Record):
    """Which secret.

    Attributes:
        key: Name of the environment variable.
    """

    scope: Scope = "user"
    key: str


class SecretInfo(SecretKey):
    """A secret without its value.

    Attributes:
        mask: Hide the value wherever commands print it.
        masked: It is hidden; a short value is not, even with ``mask``.
        updated: When it was stored.
    """

    mask: bool = True
    masked: bool = True
    updated: float = 0.0


class SecretValue(SecretKey):
    """A secret to store.

    Attributes:
        value: At most 64 KB of text.
        mask: Hide the value wherever commands print it.
    """

    value: Hidden
    mask: bool = True


class PutSecrets(Record):
    """Secrets to store over those of the same name, all or nothing."""

    secrets: tuple[SecretValue, ...]


class DeleteSecrets(Record):
    """Secrets to delete; one that is not there is no error."""

    keys: tuple[SecretKey, ...]


class SecretList(Record):
    """Every secret, by scope and name.

    Attributes:
        changed: Those that the request stored or deleted.
        notes: Sentences that a person should read, e.g. on a value that is too short to be masked.
        kept: Where the values are, for a person.
    """

    secrets: tuple[SecretInfo, ...]
    changed: tuple[SecretKey, ...] = ()
    notes: tuple[str, ...] = ()
    kept: str = ""
