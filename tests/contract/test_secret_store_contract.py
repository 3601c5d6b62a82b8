"""Every store of secrets keeps the same promises."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.fakes.pipelines import MemorySecrets

from conducto.wire.secret_names import MAX_VALUE
from conducto_core.secrets.port import SecretName, SecretRefusedError, SecretStore, StoredSecret
from conducto_local.agent.state_dir import StateDir
from conducto_local.secrets.store import EncryptedFile, KeyringStore, LocalSecrets
from support.secret_parts import MemoryKeyring, secret

STORES = {
    "memory": lambda path: MemorySecrets(),
    "file": EncryptedFile,
    "keyring": lambda path: KeyringStore(path, MemoryKeyring()),
    "local with a keyring": lambda path: LocalSecrets(StateDir(path, "p"), MemoryKeyring),
    "local without": lambda path: LocalSecrets(StateDir(path, "p"), lambda: None),
}


@pytest.fixture(params=STORES.values(), ids=STORES)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> SecretStore:
    made: SecretStore = request.param(tmp_path / "secrets")
    return made


def test_a_new_store_is_empty(store: SecretStore) -> None:
    assert store.read() == {}
    assert store.delete([SecretName("user", "A")]) == ()


def test_stored_secrets_are_read_back(store: SecretStore) -> None:
    first = StoredSecret(SecretName("user", "A"), "ü\n'\"$x ", mask=False, updated=1.5)
    second = StoredSecret(SecretName("org", "A"), "", mask=True, updated=2.0)

    store.put([first, second])

    assert store.read() == {first.name: first, second.name: second}


def test_a_reference_is_read_back_and_replaced_by_a_value(store: SecretStore) -> None:
    reference = StoredSecret(SecretName("user", "A"), "", True, 1.5, "ssm:/prod/a")

    store.put([reference])
    assert store.read() == {reference.name: reference}
    store.put([secret("A", "one")])

    assert store.read()[reference.name].reference is None
    assert store.read()[reference.name].value == "one"


def test_a_second_value_replaces_the_first(store: SecretStore) -> None:
    store.put([secret("A", "one"), secret("B", "kept")])

    store.put([secret("A", "two")])

    assert [s.value for s in sorted(store.read().values(), key=lambda s: s.name)] == ["two", "kept"]


def test_deleted_secrets_do_not_exist(store: SecretStore) -> None:
    store.put([secret("A", "one"), secret("A", "of all", scope="org")])

    gone = store.delete([SecretName("user", "A"), SecretName("user", "B")])

    assert gone == (SecretName("user", "A"),)
    assert [s.value for s in store.read().values()] == ["of all"]


def test_every_change_gives_another_version(store: SecretStore) -> None:
    versions = [store.version()]

    store.put([secret("A", "one")])
    versions.append(store.version())
    store.put([secret("A", "two")])
    versions.append(store.version())
    store.delete([SecretName("user", "A")])
    versions.append(store.version())

    assert len(set(versions)) == 4
    assert store.version() == versions[-1]


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        (secret("", "x"), "'' cannot be the name of a secret"),
        (secret("A=B", "x"), "'A=B' cannot be the name"),
        (secret("1A", "x"), "begin with no digit"),
        (secret("A\n", "x"), "cannot be the name"),
        (secret("Ä", "x"), "cannot be the name"),
        (secret("CONDUCTO_TOKEN", "x"), "Conducto sets that variable"),
        (secret("__RUN_BY_WORKER__", "x"), "Conducto sets that variable"),
        (secret("IFS", "x"), "shells set that variable"),
        (secret("BASH_ENV", "x"), "shells set that variable"),
        (secret("A", "x", scope="team"), "A: scope must be 'user' or 'org'"),
        (secret("A", "very\0secret"), "A: the value holds a NUL character"),
        (secret("A", "very\udc80secret"), "A: the value is not valid text"),
        (secret("A", "ü" * (MAX_VALUE // 2) + "x"), f"A: the value has {MAX_VALUE + 1} bytes"),
    ],
)
def test_a_wrong_secret_is_refused_and_nothing_is_stored(
    store: SecretStore, wrong: StoredSecret, text: str
) -> None:
    with pytest.raises(SecretRefusedError, match=re.escape(text)) as caught:
        store.put([secret("GOOD", "x"), wrong])

    assert store.read() == {}
    assert "very" not in str(caught.value)


def test_the_longest_value_is_taken(store: SecretStore) -> None:
    store.put([secret("A", "x" * MAX_VALUE)])

    assert len(store.read()[SecretName("user", "A")].value) == MAX_VALUE


def test_more_than_an_environment_may_hold_is_refused(store: SecretStore) -> None:
    store.put([secret(f"A{i}", "x" * MAX_VALUE) for i in range(16)])

    with pytest.raises(SecretRefusedError, match="all secrets together would have 1048577 bytes"):
        store.put([secret("B", "x")])

    assert len(store.read()) == 16


def test_a_value_is_in_no_repr(store: SecretStore) -> None:
    store.put([secret("A", "very-secret")])

    assert "very-secret" not in repr(store.read()) + repr(store) + store.location()


def _put_many(directory: Path, letter: str) -> None:
    store = EncryptedFile(directory)
    for i in range(20):
        store.put([secret(f"{letter}{i}", "x")])


def test_writers_at_the_same_time_lose_nothing(tmp_path: Path) -> None:
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(_put_many, [tmp_path / "secrets"] * 2, "AB"))

    assert len(EncryptedFile(tmp_path / "secrets").read()) == 40
