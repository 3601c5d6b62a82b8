"""The port of a store of secrets. One contract suite tests all adapters."""

from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field
from typing import Literal, Protocol

from conducto.wire import secret_names

Scope = Literal["user", "org"]


class SecretStoreError(Exception):
    """The secrets cannot be read or written; the message has the reason and a remedy."""


class SecretRefusedError(SecretStoreError):
    """A secret cannot be stored; the message has the reason."""


@dataclass(frozen=True, slots=True, order=True)
class SecretName:
    """The scope and name of a secret.

    Attributes:
        key: Name of the environment variable; after ``SET/`` that of a secret in a set.
    """

    scope: Scope
    key: str

    @property
    def secret_set(self) -> str:
        return self.key.rpartition("/")[0]

    @property
    def origin(self) -> str:
        """Its scope, and its set if it has one: one variable may be in several sets."""
        return f"{self.scope} {self.secret_set}".rstrip()

    @property
    def variable(self) -> str:
        """The environment variable."""
        return self.key.rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class StoredSecret:
    """A secret with its value, which neither a log nor a traceback shows.

    Attributes:
        mask: Hide the value in the output of commands.
        updated: Time when it was stored, in seconds since the epoch.
        reference: Where the value is, if it is in another store; ``value`` is empty then.
    """

    name: SecretName
    value: str = field(repr=False)
    mask: bool = True
    updated: float = 0.0
    reference: str | None = None


class SecretStore(Protocol):
    """Secrets of one profile. Every method may block on a disk or on the operating system."""

    def version(self) -> Hashable:
        """Return a value that changes when another process changes the store; cheap."""

    def read(self) -> dict[SecretName, StoredSecret]:
        """Return all secrets.

        Raises:
            SecretStoreError: they cannot be read.
        """

    def put(self, secrets: Iterable[StoredSecret]) -> None:
        """Store secrets, replacing those of the same name, all or nothing.

        Raises:
            SecretRefusedError: a secret is not allowed.
            SecretStoreError: they cannot be written.
        """

    def delete(self, names: Iterable[SecretName]) -> tuple[SecretName, ...]:
        """Delete secrets; return those that existed.

        Raises:
            SecretStoreError: they cannot be written.
        """

    def location(self) -> str:
        """Return the place of the values, for display."""


def check(secrets: Iterable[StoredSecret]) -> None:
    """Check secrets before they are stored.

    Raises:
        SecretRefusedError: a secret is not allowed.
    """
    try:
        for secret in secrets:
            secret_names.check_key(secret.name.variable)
            secret_names.check_set(secret.name.secret_set)
            secret_names.check_scope(secret.name.key, secret.name.scope)
            secret_names.check_value(secret.name.key, secret.value)
    except (TypeError, ValueError) as error:
        raise SecretRefusedError(str(error)) from error


def check_total(secrets: Iterable[StoredSecret]) -> None:
    """Check the total size of a store.

    Raises:
        SecretRefusedError: it exceeds the maximum for the environment of a command.
    """
    total = sum(len(secret.value.encode()) for secret in secrets)
    if total > secret_names.MAX_TOTAL:
        raise SecretRefusedError(
            f"all secrets together would have {total} bytes, at most {secret_names.MAX_TOTAL} are "
            "allowed; delete some with 'conducto secrets delete'"
        )
