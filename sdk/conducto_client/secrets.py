"""The secrets of a target."""

from collections.abc import Iterable, Mapping

from conducto.errors import InvalidArgumentError
from conducto.wire import secret_names
from conducto_client.target import Target, checked
from conducto_core.secrets.model import (
    DeleteSecrets,
    PutSecrets,
    Scope,
    SecretInfo,
    SecretKey,
    SecretValue,
)


class SecretStore:
    """The secrets of the user and of the organisation. Values can be set, not read."""

    def __init__(self, target: Target) -> None:
        self._target = target

    def __repr__(self) -> str:
        return f"<secrets ({self._target.name})>"

    def list(self) -> tuple[SecretInfo, ...]:
        """Return all secrets, without values."""
        return self._target.read(lambda client: client.secrets()).secrets

    def set(self, name: str, value: str, *, scope: Scope = "user", mask: bool = True) -> None:
        """Store a secret; commands that start later have it as an environment variable.

        Args:
            name: Name of the variable.
            value: At most 64 KB of text.
            scope: ``user`` or ``org``.
            mask: Hide the value in the output of commands.
        """
        self.update({name: value}, scope=scope, mask=mask)

    def update(
        self, values: Mapping[str, str], *, scope: Scope = "user", mask: bool = True
    ) -> None:
        """Store several secrets, ``{name: value}``, all or nothing."""
        self.put([(name, value, scope, mask) for name, value in values.items()])

    def put(self, secrets: Iterable[tuple[str, str, Scope, bool]]) -> None:
        """Store secrets of any scope, ``(name, value, scope, mask)`` each, all or nothing."""
        values = tuple(
            _value(name, value, scope, mask=mask) for name, value, scope, mask in secrets
        )
        if values:
            self._target.call(lambda client: client.put_secrets(PutSecrets(secrets=values)))

    def delete(self, *names: str, scope: Scope = "user") -> tuple[str, ...]:
        """Delete secrets; return the names of those that existed."""
        keys = tuple(checked(SecretKey, scope=scope, key=name) for name in names)
        deleted = self._target.call(lambda client: client.delete_secrets(DeleteSecrets(keys=keys)))
        return tuple(key.key for key in deleted.changed)


def _value(name: str, value: str, scope: Scope, *, mask: bool) -> SecretValue:
    try:
        secret_names.check_key(name)
        secret_names.check_value(name, value)
    except (TypeError, ValueError) as error:  # its message has no value
        raise InvalidArgumentError(str(error)) from None
    return checked(SecretValue, scope=scope, key=name, value=value, mask=mask)
