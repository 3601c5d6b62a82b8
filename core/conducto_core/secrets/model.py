"""Secrets in requests and responses. Only requests contain values."""

from typing import Annotated, Literal

from pydantic import Field, PlainSerializer, SecretStr

from conducto_core.record import Record

Scope = Literal["user", "org"]

#: Shown only in JSON, never in a repr.
Hidden = Annotated[SecretStr, PlainSerializer(SecretStr.get_secret_value, when_used="json")]


class SecretKey(Record):
    """The scope and name of a secret.

    Attributes:
        key: Name of the environment variable.
        secret_set: The set that it is in; "" for none, whose secrets every command gets.
    """

    scope: Scope = "user"
    key: str
    secret_set: str = Field(default="", max_length=32)


class SecretInfo(SecretKey):
    """A secret without its value.

    Attributes:
        mask: Hide the value in the output of commands.
        masked: The value is hidden; short values are not, even with ``mask``.
        reference: Where the value is, if it is in another store.
    """

    mask: bool = True
    masked: bool = True
    updated: float = 0.0
    reference: str | None = None


class SecretValue(SecretKey):
    """A secret to store.

    Attributes:
        value: At most 64 KB of text; empty with a reference.
        mask: Hide the value in the output of commands.
        reference: A reference to another store (`conducto_core.secrets.rules.Reference`), which has
            the value.
    """

    value: Hidden
    mask: bool = True
    reference: str | None = Field(default=None, max_length=2048)


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
