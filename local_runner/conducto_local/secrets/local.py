"""A profile's secrets: in the operating system's keyring if it is usable, else in a file.

The first secret decides where the others are stored, so that none is hidden when a keyring becomes
available or unavailable. For the first secret, the variable ``CONDUCTO_SECRET_STORE`` (``keyring``
or ``file``) overrides the choice.
"""

import os
from collections.abc import Callable, Hashable, Iterable

from conducto_core.ports.secret_store import SecretName, SecretStore, SecretStoreError, StoredSecret
from conducto_local.secrets.encrypted_file import EncryptedFile
from conducto_local.secrets.keyring_store import KeyringBackend, KeyringStore, usable_keyring
from conducto_local.state_dir import StateDir

CHOICE = "CONDUCTO_SECRET_STORE"


class LocalSecrets:
    """The `SecretStore` of a profile.

    Args:
        home: State directory of the profile.
        find_keyring: Returns the keyring; called only when needed, because it is slow.
    """

    def __init__(
        self, home: StateDir, find_keyring: Callable[[], KeyringBackend | None] = usable_keyring
    ) -> None:
        self._directory = home.root / "secrets"
        self._file = EncryptedFile(self._directory)
        self._names_only = KeyringStore(self._directory, None)
        self._find_keyring = find_keyring
        self._keyring: KeyringStore | None = None

    def version(self) -> Hashable:
        """Return a value that changes when another process changes the store."""
        return (self._names_only.version(), self._file.version())

    def read(self) -> dict[SecretName, StoredSecret]:
        """Return every secret."""
        return self._store().read() if self._is_begun() else {}

    def put(self, secrets: Iterable[StoredSecret]) -> None:
        """Store secrets, replacing those of the same names, all or nothing."""
        self._store().put(secrets)

    def delete(self, names: Iterable[SecretName]) -> tuple[SecretName, ...]:
        """Delete secrets; return those that existed."""
        return self._store().delete(names) if self._is_begun() else ()

    def where(self) -> str:
        """Return a description of the storage."""
        return self._store().where()

    def _is_begun(self) -> bool:
        return self._names_only.exists() or self._file.exists()

    def _store(self) -> SecretStore:
        if self._names_only.exists():
            return self._in_keyring() or self._names_only
        if self._file.exists():
            return self._file
        chosen = os.environ.get(CHOICE, "")
        if chosen not in {"", "file", "keyring"}:
            raise SecretStoreError(f"{CHOICE} must be 'file' or 'keyring', got {chosen!r}")
        if chosen == "file":
            return self._file
        keyring = self._in_keyring()
        if keyring is None:
            return self._names_only if chosen else self._file
        return keyring

    def _in_keyring(self) -> KeyringStore | None:
        if self._keyring is None:
            backend = self._find_keyring()
            if backend is not None:
                self._keyring = KeyringStore(self._directory, backend)
        return self._keyring
