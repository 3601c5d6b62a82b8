"""Secrets on their way into commands: as variables, and as what to hide in the output.

Addresses of services come along with them: one may hold a password.
"""

import asyncio
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from conducto_core.ports.secret_store import SecretStore, StoredSecret
from conducto_core.runtime.masking import Mask


@dataclass(frozen=True, slots=True)
class InjectedSecrets:
    """What one command gets.

    Attributes:
        env: ``{name: value}``, the user's over the organisation's.
        mask: Hides the values that are to be hidden.
    """

    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    mask: Mask = field(default_factory=lambda: Mask(()))


NOTHING = InjectedSecrets()


class Addresses(Protocol):
    """Variables that say where services are, such as ``CONDUCTO_SLACK_URL``."""

    def version(self) -> Hashable:
        """Return something that differs when they have changed."""
        ...

    def read(self) -> Mapping[str, str]:
        """Return ``{name of a variable: address}``, without those that are as always."""
        ...


class NoAddresses:
    """All services are where they always are."""

    def version(self) -> Hashable:
        """Return the same always."""
        return None

    def read(self) -> Mapping[str, str]:
        """Return nothing."""
        return {}


def inject(
    secrets: Iterable[StoredSecret], addresses: Mapping[str, str] | None = None
) -> InjectedSecrets:
    """Return what a command gets of these secrets, and of addresses that are hidden like them."""
    where = {} if addresses is None else addresses
    # "org" comes before "user", which so wins.
    chosen = {each.name.key: each for each in sorted(secrets, key=lambda s: s.name.scope)}
    if not chosen and not where:
        return NOTHING
    hidden = [secret.value for secret in chosen.values() if secret.mask]
    return InjectedSecrets(
        {**{key: secret.value for key, secret in chosen.items()}, **where},
        Mask([*hidden, *where.values()]),
    )


class SecretProvider:
    """Gives each command the secrets of now; reads the store only when it has changed.

    Args:
        store: Where they are kept.
        addresses: Of services that commands use.
    """

    def __init__(self, store: SecretStore, addresses: Addresses | None = None) -> None:
        self.store = store
        self._addresses = NoAddresses() if addresses is None else addresses
        self._version: Hashable = object()
        self._delivery = NOTHING
        self._lock = asyncio.Lock()

    @property
    def mask(self) -> Mask:
        """What the newest command's output is masked with."""
        return self._delivery.mask

    async def delivery(self) -> InjectedSecrets:
        """Return what a command that starts now gets.

        Raises:
            SecretStoreError: the secrets cannot be read.
        """
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
        return inject(self.store.read().values(), self._addresses.read())
