"""Secrets of one user and their organisation, as a store over the vault.

A scope is one JSON object. A change reads it and replaces the version that was read; after a
conflict, the change is applied again to the new version, so that no change is lost.
"""

from collections.abc import Callable, Container, Hashable, Iterable, Mapping
from functools import partial
from typing import Any

from chalicelib.errors import ConflictError
from chalicelib.people.port import SecretVault
from chalicelib.secrets.injection import org_scope, user_scope
from conducto_core.errors import RefusedError
from conducto_core.secrets.port import Scope, SecretName, StoredSecret, check, check_total

Written = Mapping[str, Mapping[str, Any]]
#: Maximum number of attempts of a change.
MAX_TRIES = 8


class VaultSecrets:
    """A `conducto_core.secrets.port.SecretStore`."""

    def __init__(self, vault: SecretVault, org: str, user: str) -> None:
        self._vault = vault
        self._scopes: dict[Scope, str] = {"org": org_scope(org), "user": user_scope(org, user)}

    def version(self) -> Hashable:
        """Return a new value each time, because other processes change the vault."""
        return object()

    def read(self) -> dict[SecretName, StoredSecret]:
        """Return every secret."""
        return {
            SecretName(scope, key): _stored(SecretName(scope, key), written)
            for scope, place in self._scopes.items()
            for key, written in self._vault.read(place).items()
        }

    def put(self, secrets: Iterable[StoredSecret]) -> None:
        """Store secrets, replacing equal names; each scope is changed atomically."""
        new = list(secrets)
        check(new)
        for scope in dict.fromkeys(secret.name.scope for secret in new):
            mine = {one.name.key: _written(one) for one in new if one.name.scope == scope}
            self._change(scope, partial(_with, mine))

    def delete(self, names: Iterable[SecretName]) -> tuple[SecretName, ...]:
        """Delete secrets; return those that existed."""
        wanted = tuple(dict.fromkeys(names))
        removed: set[SecretName] = set()
        for scope in dict.fromkeys(name.scope for name in wanted):
            keys = {name.key for name in wanted if name.scope == scope}
            before = self._change(scope, partial(_without, keys))
            removed |= {SecretName(scope, key) for key in keys & before.keys()}
        return tuple(name for name in wanted if name in removed)

    def location(self) -> str:
        return "in AWS Secrets Manager"

    def _change(self, scope: Scope, change: Callable[[Written], Written]) -> Written:
        """Change a scope and return its previous contents; unchanged scopes are not written."""
        place = self._scopes[scope]
        for _ in range(MAX_TRIES):
            kept, version = self._vault.read_version(place)
            changed = change(kept)
            if changed == kept:
                return kept
            self._check_total(scope, changed)
            try:
                self._vault.replace(place, changed, version)
            except ConflictError:
                continue
            return kept
        raise RefusedError("too many concurrent changes of these secrets; retry")

    def _check_total(self, scope: Scope, changed: Written) -> None:
        others = {name: one for name, one in self.read().items() if name.scope != scope}
        mine = {SecretName(scope, key): one for key, one in changed.items()}
        check_total([*others.values(), *(_stored(name, one) for name, one in mine.items())])


def _with(new: Written, kept: Written) -> Written:
    return {**kept, **new}


def _without(keys: Container[str], kept: Written) -> Written:
    return {key: one for key, one in kept.items() if key not in keys}


def _written(secret: StoredSecret) -> Mapping[str, Any]:
    written = {"value": secret.value, "mask": secret.mask, "updated": secret.updated}
    return written if secret.reference is None else {**written, "reference": secret.reference}


def _stored(name: SecretName, written: Mapping[str, Any]) -> StoredSecret:
    return StoredSecret(
        name,
        str(written["value"]),
        mask=bool(written.get("mask", True)),
        updated=float(written.get("updated", 0.0)),
        reference=written.get("reference"),
    )
