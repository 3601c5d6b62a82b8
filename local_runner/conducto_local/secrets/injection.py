"""Injection of secrets into commands, as variables and as values to mask in the output.

Addresses of services are injected and masked too, because they may contain a password.
"""

import asyncio
from collections.abc import Collection, Hashable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

from conducto_core.command.masking import Mask
from conducto_core.programs.rules.fingerprints import SecretOrigins
from conducto_core.secrets.port import SecretStore, StoredSecret
from conducto_core.secrets.rules import granted, in_order
from conducto_local.secrets.references import SecretReferences

#: Values from other stores that are hidden after they were read, the newest.
_MAX_SEEN = 200


@dataclass(frozen=True, slots=True)
class InjectedSecrets:
    """The secrets of one command.

    Attributes:
        env: ``{name: value}``; the user's secrets override the organisation's.
        mask: Masks the secret values.
        origins: ``{name: (scope and set, time of the last change)}`` of the secrets.
        hidden: The values that the mask hides.
        references: ``{name: reference}`` of the secrets in other stores; ``env`` has the values of
            those that were read.
        shown: Names of the secrets that are not masked.
    """

    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    mask: Mask = field(default_factory=lambda: Mask(()))
    origins: SecretOrigins = field(default_factory=dict)
    hidden: tuple[str, ...] = field(default=(), repr=False)
    references: Mapping[str, str] = field(default_factory=dict)
    shown: frozenset[str] = frozenset()

    def hiding(self, value: str) -> "InjectedSecrets":
        """Return these secrets with a mask that also hides ``value``."""
        return replace(self, mask=Mask([*self.hidden, value]), hidden=(*self.hidden, value))

    def only(self, names: Collection[str] | None) -> "InjectedSecrets":
        """Return those that a command gets (None: all); the mask hides the others, too."""
        if names is None:
            return self
        origins = {name: each for name, each in self.origins.items() if name in names}
        references = {name: each for name, each in self.references.items() if name in names}
        env = granted(self.env, self.origins, names)
        return replace(self, env=env, origins=origins, references=references)

    def with_values(self, values: Mapping[str, str], hidden: Iterable[str]) -> "InjectedSecrets":
        """Return these secrets with values of references, and further values to hide."""
        known = tuple(dict.fromkeys((*self.hidden, *hidden)))
        return replace(self, env={**self.env, **values}, mask=Mask(known), hidden=known)


NOTHING = InjectedSecrets()


class Addresses(Protocol):
    """Variables with addresses of services, such as ``CONDUCTO_SLACK_URL``."""

    def version(self) -> Hashable:
        """Return a value that changes with the addresses."""
        ...

    def read(self) -> Mapping[str, str]:
        """Return ``{name of a variable: address}`` of the addresses that are not the default."""
        ...


class NoAddresses:
    """The default addresses."""

    def version(self) -> Hashable:
        """Return None: they never change."""
        return None

    def read(self) -> Mapping[str, str]:
        return {}


def inject(
    secrets: Iterable[StoredSecret],
    addresses: Mapping[str, str] | None = None,
    secret_set: str = "",
) -> InjectedSecrets:
    """Return the secrets of a command: those without a set, and those of ``secret_set``."""
    where = {} if addresses is None else addresses
    known = {each.name: each for each in secrets}
    chosen = {name.variable: known[name] for name in in_order(known, secret_set)}
    if not known and not where:
        return NOTHING
    values = {key: each for key, each in chosen.items() if each.reference is None}
    hidden = [each.value for each in values.values() if each.mask]
    hidden += where.values()
    return InjectedSecrets(
        {**{key: secret.value for key, secret in values.items()}, **where},
        Mask(hidden),
        {key: (secret.name.origin, secret.updated) for key, secret in chosen.items()},
        tuple(hidden),
        {key: s.reference for key, s in chosen.items() if s.reference is not None},
        frozenset(key for key, secret in chosen.items() if not secret.mask),
    )


class SecretProvider:
    """Provides the current secrets; rereads the store only after changes."""

    def __init__(
        self,
        store: SecretStore,
        addresses: Addresses | None = None,
        references: SecretReferences | None = None,
    ) -> None:
        self.store = store
        self._references = SecretReferences() if references is None else references
        self._secrets: tuple[StoredSecret, ...] = ()
        self._seen: dict[str, None] = {}
        self._addresses = NoAddresses() if addresses is None else addresses
        self._version: Hashable = object()
        self._delivery = NOTHING
        self._lock = asyncio.Lock()

    @property
    def mask(self) -> Mask:
        """The mask for the output of the newest command."""
        return self._delivery.mask

    async def delivery(
        self, names: Collection[str] | None = (), secret_set: str = ""
    ) -> InjectedSecrets:
        """Return the secrets for a command that starts now.

        Args:
            names: Those whose values are read if they are in other stores; None: all.
            secret_set: The set of secrets of its pipeline; "": none.

        Raises:
            SecretStoreError: The secrets cannot be read.
        """
        found = await self._stored()
        if secret_set:
            of_set = inject(self._secrets, self._addresses.read(), secret_set)
            found = of_set.with_values({}, found.hidden)
        wanted = found.only(names).references
        if wanted:
            values = await self._references.read(wanted)
            hidden = [value for name, value in values.items() if name not in found.shown]
            self._seen.update(dict.fromkeys(hidden))
            while len(self._seen) > _MAX_SEEN:
                del self._seen[next(iter(self._seen))]
            found = found.with_values(values, self._seen)
            self._delivery = self._delivery.with_values({}, self._seen)
        return found

    async def _stored(self) -> InjectedSecrets:
        if self._now() != self._version:
            async with self._lock:
                version = self._now()
                if version != self._version:
                    self._delivery = await asyncio.to_thread(self._read)
                    self._version = version
        return self._delivery

    def _now(self) -> Hashable:
        return (self.store.version(), self._addresses.version())

    def _read(self) -> InjectedSecrets:
        self._secrets = tuple(self.store.read().values())
        found = inject(self._secrets, self._addresses.read())
        return found.with_values({}, self._seen) if self._seen else found
