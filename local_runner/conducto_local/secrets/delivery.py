"""Secrets on their way into commands: as variables, and as what to hide in the output."""

import asyncio
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field

from conducto.running.secret_store import SecretStore, StoredSecret
from conducto_worker.masking import Mask


@dataclass(frozen=True, slots=True)
class Delivery:
    """What one command gets.

    Attributes:
        env: ``{name: value}``, the user's over the organisation's.
        mask: Hides the values that are to be hidden.
    """

    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    mask: Mask = field(default_factory=lambda: Mask(()))


NOTHING = Delivery()


def deliver(secrets: Iterable[StoredSecret]) -> Delivery:
    """Return what a command gets of these secrets."""
    # "org" comes before "user", which so wins.
    chosen = {each.name.key: each for each in sorted(secrets, key=lambda s: s.name.scope)}
    if not chosen:
        return NOTHING
    return Delivery(
        {key: secret.value for key, secret in chosen.items()},
        Mask(secret.value for secret in chosen.values() if secret.mask),
    )


class SecretKeeper:
    """Gives each command the secrets of now; reads the store only when it has changed."""

    def __init__(self, store: SecretStore) -> None:
        self.store = store
        self._version: Hashable = object()
        self._delivery = NOTHING
        self._lock = asyncio.Lock()

    @property
    def mask(self) -> Mask:
        """What the newest command's output is masked with."""
        return self._delivery.mask

    async def delivery(self) -> Delivery:
        """Return what a command that starts now gets.

        Raises:
            SecretStoreError: the secrets cannot be read.
        """
        if self.store.version() != self._version:
            async with self._lock:
                version = self.store.version()
                if version != self._version:
                    self._delivery = await asyncio.to_thread(self._read)
                    self._version = version
        return self._delivery

    def _read(self) -> Delivery:
        return deliver(self.store.read().values())
