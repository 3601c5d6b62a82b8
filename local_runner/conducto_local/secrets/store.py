"""Secrets in an encrypted file, with the key in a second file.

Both files are readable by their owner only. Encryption protects the values in backups and search
indexes that contain one file but not the other, and against accidental reading; it does not protect
them from anybody with the owner's rights, who can read both files.
"""

import contextlib
import fcntl
import importlib
import json
import os
from collections.abc import Callable, Hashable, Iterable, Iterator
from pathlib import Path
from typing import Any, Protocol, cast

from conducto.version import install_command
from conducto_core.secrets.port import (
    SecretName,
    SecretStore,
    SecretStoreError,
    StoredSecret,
    check,
    check_total,
)
from conducto_local.agent.state_dir import StateDir

# ----------------------------------------------------------------------------------------
# The files of a profile's secrets: private, replaced as a whole, locked for changes.


DIRECTORY_MODE = 0o700
FILE_MODE = 0o600

#: Identifies a version of a file; None if there is no file.
Fingerprint = tuple[int, int, int] | None


class PrivateDirectory:
    """A directory that only its owner can access, created on the first write.

    Every method raises `SecretStoreError` on errors of the file system.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._text = str(path)

    def fingerprint(self, name: str) -> Fingerprint:
        """Return a value that changes whenever the file is replaced."""
        try:
            found = os.stat(f"{self._text}/{name}")  # noqa: PTH116  called for each command
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise self._failure("read", error) from error
        return (found.st_ino, found.st_mtime_ns, found.st_size)

    def read(self, name: str) -> bytes | None:
        """Return the content of a file, or None if it does not exist."""
        try:
            return (self.path / name).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise self._failure("read", error) from error

    def write(self, name: str, data: bytes) -> None:
        """Replace a file atomically, for readers and for crashes."""
        target, new = self.path / name, self.path / f"{name}.new"
        try:
            descriptor = os.open(
                new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, FILE_MODE
            )
            with os.fdopen(descriptor, "wb") as file:
                os.fchmod(descriptor, FILE_MODE)
                file.write(data)
                file.flush()
                os.fsync(descriptor)
            new.replace(target)
        except OSError as error:
            raise self._failure("written to", error) from error

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Prevent changes by other processes during the block."""
        try:
            self.path.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
            self.path.chmod(DIRECTORY_MODE)
            descriptor = os.open(
                self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE
            )
        except OSError as error:
            raise self._failure("written to", error) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _failure(self, what: str, error: OSError) -> SecretStoreError:
        return SecretStoreError(
            f"the secrets in {self.path} cannot be {what} ({error.strerror}); "
            "check its owner and permissions"
        )


VALUES = "secrets.encrypted"
KEY = "secrets.key"
#: First bytes of the file; authenticated by the encryption, too.
HEADER = b"conducto secrets 1\n"
_KEY_BYTES = 32
_NONCE_BYTES = 12

Secrets = dict[SecretName, StoredSecret]


class EncryptedFile:
    """A `SecretStore` in a directory: AES-256-GCM over one JSON document."""

    def __init__(self, directory: Path) -> None:
        self._files = PrivateDirectory(directory)

    def exists(self) -> bool:
        return self._files.fingerprint(VALUES) is not None

    def version(self) -> Hashable:
        return self._files.fingerprint(VALUES)

    def read(self) -> Secrets:
        """Return every secret."""
        data = self._files.read(VALUES)
        return {} if data is None else _from_document(self._decrypted(data))

    def put(self, secrets: Iterable[StoredSecret]) -> None:
        new = list(secrets)
        check(new)
        with self._files.locked():
            known = self.read()
            known.update((secret.name, secret) for secret in new)
            check_total(known.values())
            self._write(known)

    def delete(self, names: Iterable[SecretName]) -> tuple[SecretName, ...]:
        with self._files.locked():
            known = self.read()
            removed = tuple(name for name in dict.fromkeys(names) if name in known)
            if removed:
                self._write({n: secret for n, secret in known.items() if n not in removed})
        return removed

    def location(self) -> str:
        return f"encrypted in {self._files.path / VALUES}"

    def _write(self, secrets: Secrets) -> None:
        key = self._files.read(KEY)
        if key is None:
            key = os.urandom(_KEY_BYTES)
            self._files.write(KEY, key)
        nonce = os.urandom(_NONCE_BYTES)
        sealed = _cipher(key).encrypt(nonce, _to_document(secrets), HEADER)
        self._files.write(VALUES, HEADER + nonce + sealed)

    def _decrypted(self, data: bytes) -> bytes:
        from cryptography.exceptions import InvalidTag  # noqa: PLC0415 - see _cipher

        key = self._files.read(KEY)
        if key is None or not data.startswith(HEADER):
            raise self._unreadable()
        sealed = data[len(HEADER) :]
        nonce, sealed = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
        try:
            opened: bytes = _cipher(key).decrypt(nonce, sealed, HEADER)
        except (InvalidTag, ValueError) as error:
            raise self._unreadable() from error
        return opened

    def _unreadable(self) -> SecretStoreError:
        values, key = self._files.path / VALUES, self._files.path / KEY
        return SecretStoreError(
            f"{values} cannot be decrypted with {key}: one of them is damaged, missing or from "
            f"another version. Restore both from one backup, or delete {values} and set the "
            "secrets again"
        )


def _cipher(key: bytes) -> Any:
    # Imported late: most scripts that are printed have no secrets.
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415

    return AESGCM(key)


def _to_document(secrets: Secrets) -> bytes:
    return json.dumps(
        [
            {
                "scope": secret.name.scope,
                "key": secret.name.key,
                "value": secret.value,
                "mask": secret.mask,
                "updated": secret.updated,
                **({} if secret.reference is None else {"reference": secret.reference}),
            }
            for _, secret in sorted(secrets.items())
        ]
    ).encode()


def _from_document(data: bytes) -> Secrets:
    secrets: Secrets = {}
    for entry in json.loads(data):
        name = SecretName(entry["scope"], entry["key"])
        about = entry["mask"], entry["updated"], entry.get("reference")
        secrets[name] = StoredSecret(name, entry["value"], *about)
    return secrets


# ----------------------------------------------------------------------------------------
# Secrets in the operating system's keyring, through the optional package ``keyring``.
#
# A keyring cannot list its entries, so a file has the names, without values.


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
        backend: The keyring; None if it is not available, so that nothing can be read.
    """

    def __init__(self, directory: Path, backend: KeyringBackend | None) -> None:
        self._files = PrivateDirectory(directory)
        self._backend = backend
        self._service = f"conducto {directory}"

    def exists(self) -> bool:
        return self._files.fingerprint(INDEX) is not None

    def version(self) -> Hashable:
        """Return the index's fingerprint; changes of values by other programs are not detected."""
        return self._files.fingerprint(INDEX)

    def read(self) -> dict[SecretName, StoredSecret]:
        """Return every secret whose value the keyring still has."""
        found: dict[SecretName, StoredSecret] = {}
        for name, fields in self._index().items():
            reference = fields.get("reference")
            value = self._ask("get_password", name) if reference is None else ""
            if value is not None:
                about = fields["mask"], fields["updated"], reference
                found[name] = StoredSecret(name, str(value), *about)
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
                fields: dict[str, Any] = {"mask": secret.mask, "updated": secret.updated}
                if secret.reference is None:
                    self._ask("set_password", secret.name, secret.value)
                else:
                    fields["reference"] = secret.reference
                index[secret.name] = fields
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

    def location(self) -> str:
        return "in the operating system's keyring"

    def _ask(self, method: str, name: SecretName, *more: str) -> object:
        if self._backend is None:
            raise SecretStoreError(
                "the secrets are in the operating system's keyring, which is not available "
                f"here; install the package keyring ({install_command('keyring')}) and unlock it"
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


# ----------------------------------------------------------------------------------------
# A profile's secrets: in the operating system's keyring if it is usable, else in a file.
#
# The first secret decides where the others are stored, so that none is hidden when a keyring
# becomes available or unavailable. For the first secret, the variable ``CONDUCTO_SECRET_STORE``
# (``keyring`` or ``file``) overrides the choice.


CHOICE = "CONDUCTO_SECRET_STORE"


class LocalSecrets:
    """The `SecretStore` of a profile.

    Args:
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
        return (self._names_only.version(), self._file.version())

    def read(self) -> dict[SecretName, StoredSecret]:
        """Return every secret."""
        return self._store().read() if self._is_begun() else {}

    def put(self, secrets: Iterable[StoredSecret]) -> None:
        self._store().put(secrets)

    def delete(self, names: Iterable[SecretName]) -> tuple[SecretName, ...]:
        return self._store().delete(names) if self._is_begun() else ()

    def location(self) -> str:
        return self._store().location()

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
