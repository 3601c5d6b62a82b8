"""Where secrets are kept, and what happens when that is broken."""

from __future__ import annotations

import stat
import sys
from pathlib import Path

import pytest

from conducto_core.secrets.port import SecretName, SecretStoreError
from conducto_local.agent.state_dir import StateDir
from conducto_local.secrets.store import (
    CHOICE,
    INDEX,
    KEY,
    VALUES,
    EncryptedFile,
    KeyringStore,
    LocalSecrets,
    usable_keyring,
)
from support.secret_parts import MemoryKeyring, secret

VALUE = "a-very-secret-value"


@pytest.fixture(autouse=True)
def _no_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(CHOICE, raising=False)


@pytest.fixture
def file(tmp_path: Path) -> EncryptedFile:
    store = EncryptedFile(tmp_path)
    store.put([secret("A", VALUE)])
    return store


def everything_in(directory: Path) -> bytes:
    return b"".join(path.read_bytes() for path in directory.rglob("*") if path.is_file())


def test_no_file_holds_a_value_or_a_name_in_plain_text(file: EncryptedFile, tmp_path: Path) -> None:
    assert VALUE.encode() not in everything_in(tmp_path)
    assert b'"A"' not in everything_in(tmp_path)


def test_the_files_are_for_their_owner_only(file: EncryptedFile, tmp_path: Path) -> None:
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}

    assert modes == {VALUES: 0o600, KEY: 0o600, "lock": 0o600}
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o700


def test_another_store_of_the_same_directory_reads_it(file: EncryptedFile, tmp_path: Path) -> None:
    assert EncryptedFile(tmp_path).read() == file.read() != {}


def test_equal_secrets_are_not_encrypted_equally(file: EncryptedFile, tmp_path: Path) -> None:
    before = (tmp_path / VALUES).read_bytes()

    file.put([secret("A", VALUE)])

    assert (tmp_path / VALUES).read_bytes() != before


@pytest.mark.parametrize("name", [VALUES, KEY])
def test_modified_file_is_reported(file: EncryptedFile, tmp_path: Path, name: str) -> None:
    data = bytearray((tmp_path / name).read_bytes())
    data[-1] ^= 1
    (tmp_path / name).write_bytes(data)

    with pytest.raises(SecretStoreError, match=r"cannot be decrypted with .*secrets\.key"):
        file.read()


@pytest.mark.parametrize("data", [b"", b"conducto secrets 2\nxxxxxxxxxxxxxxxxxxxxxxxxxx"])
def test_file_of_another_kind_is_reported(file: EncryptedFile, tmp_path: Path, data: bytes) -> None:
    (tmp_path / VALUES).write_bytes(data)

    with pytest.raises(SecretStoreError, match="from another version"):
        file.read()


def test_lost_key_is_reported_and_nothing_is_overwritten(
    file: EncryptedFile, tmp_path: Path
) -> None:
    (tmp_path / KEY).unlink()
    before = (tmp_path / VALUES).read_bytes()

    with pytest.raises(SecretStoreError, match="Restore both from one backup"):
        file.put([secret("B", "x")])

    assert (tmp_path / VALUES).read_bytes() == before


def test_directory_that_cannot_be_created_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(SecretStoreError, match=r"cannot be written to \(Not a directory\)"):
        EncryptedFile(tmp_path / "file" / "secrets").put([secret("A", "x")])


def test_values_go_into_the_keyring_and_names_into_the_index(tmp_path: Path) -> None:
    keyring = MemoryKeyring()

    KeyringStore(tmp_path, keyring).put([secret("A", VALUE)])

    assert list(keyring.entries.values()) == [VALUE]
    assert b'"A"' in (tmp_path / INDEX).read_bytes()
    assert VALUE.encode() not in everything_in(tmp_path)


def test_two_profiles_share_a_keyring_and_no_secret(tmp_path: Path) -> None:
    keyring = MemoryKeyring()
    one, other = KeyringStore(tmp_path / "a", keyring), KeyringStore(tmp_path / "b", keyring)

    one.put([secret("A", "one")])
    other.put([secret("A", "other")])

    assert [s.value for s in one.read().values()] == ["one"]


def test_deleted_secrets_leave_the_keyring(tmp_path: Path) -> None:
    keyring = MemoryKeyring()
    store = KeyringStore(tmp_path, keyring)
    store.put([secret("A", "one")])

    store.delete([SecretName("user", "A")])

    assert keyring.entries == {}


def test_entry_removed_from_the_keyring_is_missing(tmp_path: Path) -> None:
    keyring = MemoryKeyring()
    store = KeyringStore(tmp_path, keyring)
    store.put([secret("A", "one"), secret("B", "two")])

    keyring.entries.popitem()

    assert [name.key for name in store.read()] == ["A"]
    assert store.delete([SecretName("user", "B")]) == (SecretName("user", "B"),)


def test_locked_keyring_is_reported_without_its_quotation(tmp_path: Path) -> None:
    keyring = MemoryKeyring()
    keyring.locked = True

    with pytest.raises(SecretStoreError, match=r"A: .* failed \(LockedError\)") as caught:
        KeyringStore(tmp_path, keyring).put([secret("A", VALUE)])

    assert VALUE not in str(caught.value)
    assert caught.value.__cause__ is None


def test_damaged_index_is_reported(tmp_path: Path) -> None:
    (tmp_path / INDEX).write_text("[1]")

    with pytest.raises(SecretStoreError, match=r"keyring\.json is damaged"):
        KeyringStore(tmp_path, MemoryKeyring()).read()


def test_the_keyring_is_taken_where_there_is_one(tmp_path: Path) -> None:
    store = LocalSecrets(StateDir(tmp_path, "p"), MemoryKeyring)

    store.put([secret("A", VALUE)])

    assert store.location() == "in the operating system's keyring"
    assert (tmp_path / "p/secrets" / INDEX).exists()


def test_the_file_is_taken_where_there_is_no_keyring(tmp_path: Path) -> None:
    store = LocalSecrets(StateDir(tmp_path, "p"), lambda: None)

    store.put([secret("A", VALUE)])

    assert store.location() == f"encrypted in {tmp_path}/p/secrets/{VALUES}"


def test_existing_store_keeps_its_kind(tmp_path: Path) -> None:
    LocalSecrets(StateDir(tmp_path, "p"), lambda: None).put([secret("A", "one")])
    later = LocalSecrets(StateDir(tmp_path, "p"), MemoryKeyring)

    later.put([secret("B", "two")])

    assert len(EncryptedFile(tmp_path / "p/secrets").read()) == 2


def test_lost_keyring_is_reported(tmp_path: Path) -> None:
    LocalSecrets(StateDir(tmp_path, "p"), MemoryKeyring).put([secret("A", "one")])

    with pytest.raises(SecretStoreError, match="keyring, which is not available here"):
        LocalSecrets(StateDir(tmp_path, "p"), lambda: None).read()


def test_a_keyring_is_not_looked_for_before_there_is_a_secret(tmp_path: Path) -> None:
    asked = []
    store = LocalSecrets(StateDir(tmp_path, "p"), lambda: asked.append(1))

    found = (store.read(), store.delete([SecretName("user", "A")]), asked)

    assert found == ({}, (), [])


def test_the_file_can_be_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CHOICE, "file")
    store = LocalSecrets(StateDir(tmp_path, "p"), MemoryKeyring)

    store.put([secret("A", VALUE)])

    assert store.location().startswith("encrypted in ")


@pytest.mark.parametrize(("choice", "text"), [("keyring", "is not available"), ("x", "got 'x'")])
def test_unavailable_choice_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, choice: str, text: str
) -> None:
    monkeypatch.setenv(CHOICE, choice)

    with pytest.raises(SecretStoreError, match=text):
        LocalSecrets(StateDir(tmp_path, "p"), lambda: None).put([secret("A", VALUE)])


PACKAGE = """
class Backend:
    priority = {priority}
    def get_password(self, service, username):
        {response}

def get_keyring():
    return Backend()
"""


def install(text: str, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let ``import keyring`` run a module with this text."""
    (directory / "keyring.py").write_text(text)
    monkeypatch.syspath_prepend(directory)
    monkeypatch.setitem(sys.modules, "keyring", None)  # so that it is forgotten afterwards
    del sys.modules["keyring"]


@pytest.mark.parametrize(
    ("priority", "response", "usable"),
    [(5, "return None", True), (0.5, "return None", False), (5, "raise OSError('no bus')", False)],
)
def test_a_keyring_counts_when_it_protects_and_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, priority: float, response: str, usable: bool
) -> None:
    install(PACKAGE.format(priority=priority, response=response), tmp_path, monkeypatch)

    assert (usable_keyring() is not None) == usable


def test_without_the_package_there_is_no_keyring(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("raise ImportError", tmp_path, monkeypatch)

    assert usable_keyring() is None
