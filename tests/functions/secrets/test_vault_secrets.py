"""Secrets in the vault: people who change them at the same time lose nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.fakes.cloud import FakeVault

from chalicelib.errors import ConflictError
from chalicelib.secrets.handlers import MAX_TRIES, VaultSecrets
from conducto_core.errors import RefusedError
from conducto_core.secrets.port import SecretName, StoredSecret

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class Meeting(FakeVault):
    """A vault at which somebody else is faster.

    Attributes:
        meanwhile: What the others do before each of the next changes.
    """

    def __init__(self) -> None:
        super().__init__()
        self.meanwhile: list[Callable[[], None]] = []

    def replace(self, scope: str, secrets: Mapping[str, Mapping[str, Any]], version: str) -> None:
        """Let the others go before."""
        if self.meanwhile:
            self.meanwhile.pop(0)()
        super().replace(scope, secrets, version)


def secret(key: str, value: str) -> StoredSecret:
    return StoredSecret(SecretName("org", key), value, mask=True, updated=1.0)


def values(vault: FakeVault) -> dict[str, str]:
    return {name.key: one.value for name, one in VaultSecrets(vault, "acme", "ann").read().items()}


def test_a_secret_that_another_person_puts_meanwhile_is_kept() -> None:
    vault = Meeting()
    ann, bob = (VaultSecrets(vault, "acme", name) for name in ("ann", "bob"))
    vault.meanwhile.append(lambda: bob.put([secret("B", "bob")]))

    ann.put([secret("A", "ann")])

    assert values(vault) == {"A": "ann", "B": "bob"}


def test_a_secret_that_is_put_while_another_is_deleted_is_kept() -> None:
    vault = Meeting()
    ann, bob = (VaultSecrets(vault, "acme", name) for name in ("ann", "bob"))
    ann.put([secret("A", "old")])
    vault.meanwhile.append(lambda: bob.put([secret("B", "bob")]))

    gone = ann.delete([SecretName("org", "A"), SecretName("org", "no such")])

    assert gone == (SecretName("org", "A"),)
    assert values(vault) == {"B": "bob"}


def test_endless_write_conflict_is_reported() -> None:
    class Busy(FakeVault):
        def replace(
            self, scope: str, secrets: Mapping[str, Mapping[str, Any]], version: str
        ) -> None:
            del secrets, version
            tries.append(scope)
            raise ConflictError(scope)

    tries: list[str] = []
    with pytest.raises(RefusedError, match="too many concurrent changes"):
        VaultSecrets(Busy(), "acme", "ann").put([secret("A", "ann")])
    assert len(tries) == MAX_TRIES


def test_unchanged_secrets_are_not_written() -> None:
    vault = FakeVault()
    secrets = VaultSecrets(vault, "acme", "ann")
    secrets.put([secret("A", "ann")])
    before = vault.read_version("org/acme")

    secrets.put([secret("A", "ann")])
    assert secrets.delete([SecretName("org", "no such")]) == ()

    assert vault.read_version("org/acme") == before
