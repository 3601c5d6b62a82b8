"""Values of secrets in other stores of the account, read when a command starts.

The function that decides about claims reads them by its own role, which an administrator allows for
prefixes of names. Workers have no right to read them: their machines run commands of users.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from threading import Lock
from time import time

from chalicelib.errors import ThrottledError
from chalicelib.people.port import SecretVault
from chalicelib.secrets.injection import SECRET_SECONDS, InjectedSecrets
from conducto_core.command.text import CommandError
from conducto_core.secrets.port import SecretRefusedError, SecretStoreError
from conducto_core.secrets.rules import Reference, check_allowed, value_in

#: Reads the text that a store has; raises `SecretStoreError` with the reason of the store.
ReadReference = Callable[[Reference], str]


def _no_store(reference: Reference) -> str:
    raise SecretStoreError(f"{reference.store} is not available here")


class SecretReferences:
    """Reads the values of references that the administrator allows, each at most every 30 seconds.

    Args:
        prefixes: The allowed beginnings of references.
        read: Reads a value.
        clock: Seconds since the epoch.
    """

    def __init__(
        self,
        prefixes: Collection[str] = (),
        read: ReadReference = _no_store,
        clock: Callable[[], float] = time,
    ) -> None:
        self._prefixes, self._read, self._clock = tuple(prefixes), read, clock
        self._kept: dict[str, tuple[float, str]] = {}
        self._lock = Lock()

    def check(self, org: str, key: str, text: str) -> None:
        """Check that a secret may be a reference; raises `SecretRefusedError`."""
        check_allowed(key, text, org, self._prefixes)

    def resolve(self, org: str, found: InjectedSecrets) -> InjectedSecrets:
        """Return the secrets of a command with the values of its references.

        Raises:
            CommandError: A value cannot be read; the message names the reference.
        """
        if not found.references:
            return found
        try:
            return found.with_values(self._values(org, found.references))
        except SecretStoreError as error:
            raise CommandError(str(error)) from None

    def again(self, org: str, found: InjectedSecrets) -> InjectedSecrets:
        """Return `resolve` of a command that has started with these values.

        Raises:
            ThrottledError: A value cannot be read any more; its worker asks again.
        """
        try:
            return self.resolve(org, found)
        except CommandError as error:
            raise ThrottledError(str(error)) from None

    def _values(self, org: str, references: Mapping[str, str]) -> dict[str, str]:
        values = {}
        for name, text in references.items():
            reference = check_allowed(name, text, org, self._prefixes)  # may be allowed no more
            with self._lock:
                read, stored = self._kept.get(text, (0.0, ""))
            if not 0 <= self._clock() - read < SECRET_SECONDS:
                try:
                    stored = self._read(reference)
                except SecretRefusedError:
                    raise
                except SecretStoreError as error:
                    raise SecretStoreError(f"the secret {name} is {text}: {error}") from None
                with self._lock:
                    self._kept = {
                        known: kept
                        for known, kept in self._kept.items()
                        if self._clock() - kept[0] < SECRET_SECONDS
                    }
                    self._kept[text] = self._clock(), stored
            values[name] = value_in(name, text, stored)
        return values


@dataclass(frozen=True)
class SecretPorts:
    """Where the secrets of commands are.

    Attributes:
        references: Reads secrets by reference.
        services: Environment variables of commands for non-default service addresses.
    """

    vault: SecretVault
    references: SecretReferences = field(default_factory=SecretReferences, repr=False)
    services: Mapping[str, str] = field(default_factory=dict, repr=False)
