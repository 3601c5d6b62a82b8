"""A store of secrets in memory; it keeps every promise of the port, but outlives nothing."""

from collections.abc import Hashable, Iterable

from conducto.running.secret_store import SecretName, StoredSecret, check, check_total


class MemorySecrets:
    """A `conducto.running.secret_store.SecretStore` for tests."""

    def __init__(self) -> None:
        self._secrets: dict[SecretName, StoredSecret] = {}
        self._version = 0

    def version(self) -> Hashable:
        """Return the number of changes so far."""
        return self._version

    def read(self) -> dict[SecretName, StoredSecret]:
        """Return every secret."""
        return dict(self._secrets)

    def put(self, secrets: Iterable[StoredSecret]) -> None:
        """Store secrets over those of the same name, all or nothing."""
        new = {secret.name: secret for secret in secrets}
        check(new.values())
        check_total({**self._secrets, **new}.values())
        self._secrets.update(new)
        self._version += 1

    def delete(self, names: Iterable[SecretName]) -> tuple[SecretName, ...]:
        """Delete secrets; return those that were there."""
        gone = tuple(name for name in dict.fromkeys(names) if name in self._secrets)
        for name in gone:
            del self._secrets[name]
        self._version += len(gone)
        return gone

    def where(self) -> str:
        """Return where the values are kept."""
        return "in memory"
