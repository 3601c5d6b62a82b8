"""Secrets in an encrypted file, with the key in a second file.

Both files are readable by their owner only. Encryption protects the values in backups and search
indexes that contain one file but not the other, and against accidental reading; it does not protect
them from anybody with the owner's rights, who can read both files.
"""

import json
import os
from collections.abc import Hashable, Iterable
from pathlib import Path
from typing import Any

from conducto_core.ports.secret_store import (
    SecretName,
    SecretStoreError,
    StoredSecret,
    check,
    check_total,
)
from conducto_local.secrets.files import PrivateDirectory

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
        """Return whether secrets were ever stored here."""
        return self._files.fingerprint(VALUES) is not None

    def version(self) -> Hashable:
        """Return the file's fingerprint."""
        return self._files.fingerprint(VALUES)

    def read(self) -> Secrets:
        """Return every secret."""
        data = self._files.read(VALUES)
        return {} if data is None else _from_document(self._decrypted(data))

    def put(self, secrets: Iterable[StoredSecret]) -> None:
        """Store secrets, replacing those of the same names, all or nothing."""
        new = list(secrets)
        check(new)
        with self._files.locked():
            known = self.read()
            known.update((secret.name, secret) for secret in new)
            check_total(known.values())
            self._write(known)

    def delete(self, names: Iterable[SecretName]) -> tuple[SecretName, ...]:
        """Delete secrets; return those that existed."""
        with self._files.locked():
            known = self.read()
            removed = tuple(name for name in dict.fromkeys(names) if name in known)
            if removed:
                self._write({n: secret for n, secret in known.items() if n not in removed})
        return removed

    def where(self) -> str:
        """Return a description of the storage."""
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
            }
            for _, secret in sorted(secrets.items())
        ]
    ).encode()


def _from_document(data: bytes) -> Secrets:
    secrets: Secrets = {}
    for entry in json.loads(data):
        name = SecretName(entry["scope"], entry["key"])
        secrets[name] = StoredSecret(name, entry["value"], entry["mask"], entry["updated"])
    return secrets
