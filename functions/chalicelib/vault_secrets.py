"""Secrets of one person and their organisation, as a store over the vault.

A scope is one JSON object: two people who change the organisation's secrets in the same moment
may undo one another. That is as with any form that both have open, and is seen in the list.
"""

from collections.abc import Hashable, Iterable, Mapping
from typing import Any

from chalicelib.ports import SecretVault
from chalicelib.secret_delivery import org_scope, user_scope
from conducto.running.secret_store import (
    Scope,
    SecretName,
    StoredSecret,
    check,
    check_total,
)


class VaultSecrets:
    """A `conducto.running.secret_store.SecretStore`."""

    def __init__(self, vault: SecretVault, org: str, user: str) -> None:
        self._vault = vault
        self._scopes: dict[Scope, str] = {"org": org_scope(org), "user": user_scope(org, user)}

    def version(self) -> Hashable:
        """Return something new each time: others change the vault."""
        return object()

    def read(self) -> dict[SecretName, StoredSecret]:
        """Return every secret."""
        return {
            SecretName(scope, key): _stored(SecretName(scope, key), written)
            for scope, place in self._scopes.items()
            for key, written in self._vault.read(place).items()
        }

    def put(self, secrets: Iterable[StoredSecret]) -> None:
        """Store secrets over those of the same name, all or nothing in each scope."""
        new = list(secrets)
        check(new)
        known = {**self.read(), **{secret.name: secret for secret in new}}
        check_total(known.values())
        self._write(known, {secret.name.scope for secret in new})

    def delete(self, names: Iterable[SecretName]) -> tuple[SecretName, ...]:
        """Delete secrets; return those that were there."""
        known = self.read()
        gone = tuple(name for name in dict.fromkeys(names) if known.pop(name, None) is not None)
        self._write(known, {name.scope for name in gone})
        return gone

    def where(self) -> str:
        """Return where the values are kept, for a person."""
        return "AWS Secrets Manager"

    def _write(self, known: Mapping[SecretName, StoredSecret], scopes: Iterable[Scope]) -> None:
        for scope in scopes:
            mine = {
                name.key: {"value": one.value, "mask": one.mask, "updated": one.updated}
                for name, one in known.items()
                if name.scope == scope
            }
            self._vault.write(self._scopes[scope], mine)


def _stored(name: SecretName, written: Mapping[str, Any]) -> StoredSecret:
    return StoredSecret(
        name,
        str(written["value"]),
        mask=bool(written.get("mask", True)),
        updated=float(written.get("updated", 0.0)),
    )
