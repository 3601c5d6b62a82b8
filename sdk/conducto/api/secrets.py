"""Secrets: values that become environment variables of commands, and are masked in output.

The store for them comes with the server. Until then declaring a secret is not an
error, because scripts do it on their way to printing a tree; reading one is.
"""

from __future__ import annotations

import sys

from conducto.api.remote import not_yet

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_SCOPES = ("user", "org")
_REMEDY = "Until then pass values with env=."


class SecretKey:
    """The name of a secret.

    Attributes:
        key: Name of the environment variable.
        scope: ``"user"`` or ``"org"``.

    Raises:
        ValueError: The scope is another word, or the key is empty or holds ``=``.
        TypeError: The key is no text.
    """

    def __init__(self, key: str, scope: str = "user") -> None:
        _check_key(key)
        if scope not in _SCOPES:
            raise ValueError(f"secret {key}: scope must be 'user' or 'org', got {scope!r}")
        self.key = key
        self.scope = scope

    def as_dict(self) -> dict[str, object]:
        """Return the wire form ``{"scope", "key"}``."""
        return {"scope": self.scope, "key": self.key}


class Secret(SecretKey):
    """A secret and its value.

    Attributes:
        value: The text itself.
        mask: Hide the value wherever commands print it.
    """

    def __init__(self, key: str, value: str, scope: str = "user", mask: bool = True) -> None:
        super().__init__(key, scope)
        _check_value(key, value)
        self.value = value
        self.mask = mask

    def __repr__(self) -> str:
        return f"Secret({self.key!r}, '***', scope={self.scope!r}, mask={self.mask!r})"

    def as_dict(self) -> dict[str, object]:
        """Return the wire form ``{"scope", "key", "value", "mask"}``."""
        return {**super().as_dict(), "value": self.value, "mask": self.mask}


class Secrets:
    """The store of secrets; the ``put`` methods check, say that it comes later, and return."""

    def put(self, secrets: Iterable[Secret], token: str | None = None) -> None:
        """Declare secrets of any scope.

        Raises:
            TypeError: One of them is not a ``Secret``.
        """
        del token
        for secret in secrets:
            if not isinstance(secret, Secret):
                raise TypeError(f"expected co.api.Secret, got {type(secret).__name__}")
        _say_later()

    def put_user_secrets(self, secrets: Mapping[str, str], token: str | None = None) -> None:
        """Declare secrets of this user: ``{name: value}``.

        Raises:
            TypeError: A name or a value is no text. The value is not in the message.
        """
        self.put([Secret(key, value, "user") for key, value in secrets.items()], token)

    def put_org_secrets(self, secrets: Mapping[str, str], token: str | None = None) -> None:
        """Declare secrets of the organisation: ``{name: value}``."""
        self.put([Secret(key, value, "org") for key, value in secrets.items()], token)

    get = not_yet("Reading secrets", _REMEDY)
    get_user_secrets = not_yet("Reading secrets", _REMEDY)
    get_org_secrets = not_yet("Reading secrets", _REMEDY)
    delete = not_yet("Deleting secrets", _REMEDY)
    delete_user_secrets = not_yet("Deleting secrets", _REMEDY)
    delete_org_secrets = not_yet("Deleting secrets", _REMEDY)


_said: set[str] = set()


def _say_later() -> None:
    """Tell once per process: a script may declare many secrets."""
    if "later" not in _said:
        _said.add("later")
        print(  # noqa: T201 - a notice for the person at the terminal
            "conducto: secrets are not stored yet in this version; commands will not see them. "
            + _REMEDY,
            file=sys.stderr,
        )


def _check_key(key: object) -> None:
    if not isinstance(key, str):
        raise TypeError(f"the name of a secret must be text, got {type(key).__name__}")
    if not key or "=" in key or "\0" in key:
        raise ValueError(f"{key!r} cannot be the name of a secret: it becomes a variable's name")


def _check_value(key: str, value: object) -> None:
    if not isinstance(value, str):
        raise TypeError(f"secret {key}: the value must be text, got {type(value).__name__}")
