"""Secrets in requests and responses. Only requests contain values."""

from typing import Annotated, Literal

from pydantic import PlainSerializer, SecretStr

from conducto_core.record import Record

Scope = Literal["user", "org"]

#: Shown only in JSON, never in a repr.
Hidden = Annotated[SecretStr, PlainSerializer(SecretStr.get_secret_value, when_used="json")]


class SecretKey(Record):
    """The scope and name of a secret.

    Attributes:
        key: Name of the environment variable.
    """

    scope: Scope = "user"
    key: str


class SecretInfo(SecretKey):
    """A secret without its value.

    Attributes:
        mask: Hide the value in the output of commands.
        masked: The value is hidden; short values are not, even with ``mask``.
    """

    mask: bool = True
    masked: bool = True
    updated: float = 0.0


class SecretValue(SecretKey):
    """A secret to store.

    Attributes:
        value: At most 64 KB of text.
        mask: Hide the value in the output of commands.
    """

    value: Hidden
    mask: bool = True


class PutSecrets(Record):
    """Secrets to store, replacing those of the same name, all or nothing."""

    secrets: tuple[SecretValue, ...]


class DeleteSecrets(Record):
    """Secrets to delete; missing ones are ignored."""

    keys: tuple[SecretKey, ...]


class SecretList(Record):
    """All secrets, by scope and name.

    Attributes:
        changed: Those that the request stored or deleted.
        notes: Sentences that the user should read, e.g. about a value that is too short to be
            masked.
        kept: Storage of the values, for display.
    """

    secrets: tuple[SecretInfo, ...]
    changed: tuple[SecretKey, ...] = ()
    notes: tuple[str, ...] = ()
    kept: str = ""
