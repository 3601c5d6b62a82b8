"""Secrets in the operating system's keyring, through the optional package ``keyring``.

A keyring cannot list its entries, so a file has the names, without values.
"""

import importlib
import json
from collections.abc import Hashable, Iterable
from pathlib import Path
from typing import Any, Protocol, cast

from conducto_core.ports.secret_store import (
    SecretName,
    SecretStoreError,
    StoredSecret,
    check,
    check_total,
)
from conducto_local.secrets.files import PrivateDirectory

INDEX = "keyring.json"
#: Backends with a lower priority store nothing, or store plain text.
_REAL = 1.0


class KeyringBackend(Protocol):
    """The methods of a ``keyring`` backend that are used here."""

    def get_password(self, service: str, username: str) -> str | None:
        """Return a value, or None."""

    def set_password(self, service: str, username: str, password: str) -> None:
        """Store a value."""

    def delete_password(self, service: str, username: str) -> None:
        """Delete a value."""


class KeyringStore:
    """A `SecretStore` whose values are entries of a keyring.

    Args:
        directory: Directory of the index.
        backend: The keyring; None if it is not available, so that nothing can be read.
    """

    def __init__(self, directory: Path, backend: KeyringBackend | None) -> None:
        self._files = PrivateDirectory(directory)
        self._backend = backend
        self._service = f"conducto {directory}"

    def exists(self) -> bool:
        """Return whether secrets were ever stored here."""
        return self._files.fingerprint(INDEX) is not None

    def version(self) -> Hashable:
        """Return the index's fingerprint; changes of values by other programs are not detected."""
        return self._files.fingerprint(INDEX)

    def read(self) -> dict[SecretName, StoredSecret]:
        """Return every secret whose value the keyring still has."""
        found: dict[SecretName, StoredSecret] = {}
        for name, fields in self._index().items():
            value = self._ask("get_password", name)
            if value is not None:
                found[name] = StoredSecret(name, str(value), fields["mask"], fields["updated"])
        return found

    def put(self, secrets: Iterable[StoredSecret]) -> None:
        """Store secrets, replacing those of the same names; values are written before names.

        If the keyring fails midway, some values may already be the new ones.
        """
        new = list(secrets)
        check(new)
        with self._files.locked():
            known = self.read()
            check_total({**known, **{secret.name: secret for secret in new}}.values())
            index = self._index()
            for secret in new:
                self._ask("set_password", secret.name, secret.value)
                index[secret.name] = {"mask": secret.mask, "updated": secret.updated}
            self._write_index(index)

    def delete(self, names: Iterable[SecretName]) -> tuple[SecretName, ...]:
        """Delete secrets; return those that existed. Names are deleted before values."""
        with self._files.locked():
            index = self._index()
            removed = tuple(name for name in dict.fromkeys(names) if name in index)
            if removed:
                self._write_index({n: index[n] for n in index if n not in removed})
            for name in removed:
                if self._ask("get_password", name) is not None:
                    self._ask("delete_password", name)
        return removed

    def where(self) -> str:
        """Return a description of the storage."""
        return "in the operating system's keyring"

    def _ask(self, method: str, name: SecretName, *more: str) -> object:
        if self._backend is None:
            raise SecretStoreError(
                "the secrets are in the operating system's keyring, which is not available "
                "here; install the package keyring (pip install 'conducto[keyring]') and unlock it"
            )
        try:
            return getattr(self._backend, method)(self._service, f"{name.scope}:{name.key}", *more)
        except Exception as error:  # noqa: BLE001 - backends have errors of their own
            # No cause: it may contain the value.
            raise SecretStoreError(
                f"secret {name.key}: the operating system's keyring failed "
                f"({type(error).__name__}); unlock it and try again"
            ) from None

    def _index(self) -> dict[SecretName, dict[str, Any]]:
        data = self._files.read(INDEX)
        if data is None:
            return {}
        try:
            return {
                SecretName(entry.pop("scope"), entry.pop("key")): entry
                for entry in json.loads(data)
            }
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise SecretStoreError(
                f"{self._files.path / INDEX} is damaged; delete it and set the secrets again"
            ) from error

    def _write_index(self, index: dict[SecretName, dict[str, Any]]) -> None:
        entries = [
            {"scope": name.scope, "key": name.key, **fields}
            for name, fields in sorted(index.items(), key=lambda item: item[0])
        ]
        self._files.write(INDEX, json.dumps(entries, indent=1).encode())


def usable_keyring() -> KeyringBackend | None:
    """Return the operating system's keyring, or None if there is no usable one.

    A usable backend protects its entries and responds now.
    """
    try:
        backend = importlib.import_module("keyring").get_keyring()
        if float(backend.priority) < _REAL:
            return None
        backend.get_password("conducto", "is it there")
    except Exception:  # noqa: BLE001 - not installed, or a backend failed: no keyring
        return None
    return cast("KeyringBackend", backend)
