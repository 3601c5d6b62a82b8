"""Secrets for tests, and an in-memory keyring."""

from __future__ import annotations

from typing import Any

from conducto_core.secrets.port import SecretName, StoredSecret


def secret(key: str, value: str, scope: Any = "user", *, mask: bool = True) -> StoredSecret:
    return StoredSecret(SecretName(scope, key), value, mask)


class LockedError(Exception):
    """The error of this keyring while it is locked."""


class MemoryKeyring:
    """A keyring in memory.

    Attributes:
        locked: Reject all calls.
    """

    priority = 5.0

    def __init__(self) -> None:
        self.entries: dict[tuple[str, str], str] = {}
        self.locked = False

    def get_password(self, service: str, username: str) -> str | None:
        self._check()
        return self.entries.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        if self.locked:
            raise LockedError(f"cannot store {password}")
        self.entries[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        self._check()
        del self.entries[service, username]

    def _check(self) -> None:
        if self.locked:
            raise LockedError("locked")
