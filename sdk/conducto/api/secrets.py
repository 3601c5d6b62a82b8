"""Secrets: values that become environment variables of commands, and are masked in output.

The secrets are those of the target: of the launch that the script is for (``--cloud``), else of the
profile, else this machine, where the local runner stores them. A script may declare them each time
it is run or merely printed: that prints nothing, and no error stops the script. Inside a node
declaring them does nothing, since the node already has them as variables.
"""

from __future__ import annotations

import sys
import time

from conducto import _host
from conducto.api import calls as target
from conducto.api.calls import NotAvailableError
from conducto.wire import secret_names as secret_rules

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

_HIDDEN = "********"


class SecretKey:
    """The name of a secret.

    Attributes:
        key: Name of the environment variable.
        scope: ``"user"`` or ``"org"``.

    Raises:
        ValueError: The scope is unknown, or the key is not a variable's name, or is the name of a
            variable that Conducto or the shell sets.
        TypeError: The key is not text.
    """

    def __init__(self, key: str, scope: str = "user") -> None:
        secret_rules.check_key(key)
        secret_rules.check_scope(key, scope)
        self.key = key
        self.scope = scope

    def as_dict(self) -> dict[str, object]:
        """Return the wire form ``{"scope", "key"}``."""
        return {"scope": self.scope, "key": self.key}


class Secret(SecretKey):
    """A secret and its value.

    Attributes:
        value: The text itself, at most 64 KB.
        mask: Hide the value in the output of commands.
    """

    def __init__(self, key: str, value: str, scope: str = "user", mask: bool = True) -> None:
        super().__init__(key, scope)
        secret_rules.check_value(key, value)
        self.value = value
        self.mask = mask

    def __repr__(self) -> str:
        return f"Secret({self.key!r}, '***', scope={self.scope!r}, mask={self.mask!r})"

    def as_dict(self) -> dict[str, object]:
        """Return the wire form ``{"scope", "key", "value", "mask"}``."""
        return {**super().as_dict(), "value": self.value, "mask": self.mask}


class Secrets:
    """The secrets of the profile in use. ``token`` is ignored: the profile's login is used."""

    def put(self, secrets: Iterable[Secret], token: str | None = None) -> None:
        """Store secrets of any scope, replacing those of the same name, all or nothing.

        Inside a node this does nothing. If they cannot be stored, one line on stderr has the
        reason.

        Raises:
            TypeError: One of them is not a ``Secret``.
        """
        del token
        given = list(secrets)
        for secret in given:
            if not isinstance(secret, Secret):
                raise TypeError(f"expected co.api.Secret, got {type(secret).__name__}")
        if not target.in_node():
            _put(given)

    def put_user_secrets(self, secrets: Mapping[str, str], token: str | None = None) -> None:
        """Store secrets of this user: ``{name: value}``; see ``put``.

        Raises:
            TypeError: A name or a value is not text. The value is not in the message.
            ValueError: A name or a value is not valid for a variable.
        """
        self.put([Secret(key, value, "user") for key, value in secrets.items()], token)

    def put_org_secrets(self, secrets: Mapping[str, str], token: str | None = None) -> None:
        """Store secrets of the organisation: ``{name: value}``; see ``put_user_secrets``."""
        self.put([Secret(key, value, "org") for key, value in secrets.items()], token)

    def get(self, token: str | None = None) -> list[Secret]:
        """Return all secrets with their values, those of the organisation first.

        Raises:
            NotAvailableError: This runs inside a node, or on a Python without the local runner; or
                the target is the cloud, which never returns a value.
            Exception: They cannot be read; the message has the reason and a remedy.
        """
        del token
        if _is_in_cloud():
            raise NotAvailableError(
                "Reading the values of secrets in the cloud",
                "`get_user_secrets(obfuscate=True)` returns their names.",
            )
        found = sorted(_runner("Reading secrets").read(target.profile_of_launch()).items())
        return [Secret(name.key, kept.value, name.scope, kept.mask) for name, kept in found]

    def get_user_secrets(
        self, token: str | None = None, obfuscate: bool = False, include_org_secrets: bool = False
    ) -> dict[str, str]:
        """Return ``{name: value}`` of this user.

        Args:
            token: For servers.
            obfuscate: Return ``********`` for masked secrets.
            include_org_secrets: Also return those of the organisation if the user has none of that
                name: together, these are the secrets that a command gets.

        Raises:
            NotAvailableError: See ``get``.
        """
        del token
        scopes = ("org", "user") if include_org_secrets else ("user",)
        return self._read(scopes, obfuscate)

    def get_org_secrets(self, token: str | None = None, obfuscate: bool = False) -> dict[str, str]:
        """Return ``{name: value}`` of the organisation; see ``get_user_secrets``."""
        del token
        return self._read(("org",), obfuscate)

    def _read(self, scopes: tuple[str, ...], obfuscate: bool) -> dict[str, str]:
        if obfuscate and _is_in_cloud():
            infos = _cloud("Listing secrets").list()
            return {info.key: _HIDDEN for info in infos if info.scope in scopes}
        return _values(self.get(), scopes, obfuscate)

    def delete(self, secret_keys: Iterable[SecretKey], token: str | None = None) -> None:
        """Delete secrets of any scope; missing ones are ignored.

        Raises:
            NotAvailableError: See ``get``.
            TypeError: One of them is not a ``SecretKey``.
            Exception: They cannot be deleted; the message has the reason and a remedy.
        """
        del token
        keys = list(secret_keys)
        for key in keys:
            if not isinstance(key, SecretKey):
                raise TypeError(f"expected co.api.SecretKey, got {type(key).__name__}")
        if _is_in_cloud():
            store = _cloud("Deleting secrets")
            for scope in ("user", "org"):
                store.delete(*(key.key for key in keys if key.scope == scope), scope=scope)
            return
        runner = _runner("Deleting secrets")
        names = [runner.SecretName(key.scope, key.key) for key in keys]
        runner.delete(names, target.profile_of_launch())

    def delete_user_secrets(self, secret_names: Iterable[str], token: str | None = None) -> None:
        """Delete secrets of this user by name; see ``delete``."""
        self.delete([SecretKey(name, "user") for name in secret_names], token)

    def delete_org_secrets(self, secret_names: Iterable[str], token: str | None = None) -> None:
        """Delete secrets of the organisation by name; see ``delete``."""
        self.delete([SecretKey(name, "org") for name in secret_names], token)


def _values(secrets: list[Secret], scopes: tuple[str, ...], obfuscate: bool) -> dict[str, str]:
    return {
        secret.key: _HIDDEN if obfuscate and secret.mask else secret.value
        for secret in secrets
        if secret.scope in scopes
    }


def _put(secrets: list[Secret]) -> None:
    try:
        if _is_in_cloud():
            given = [(each.key, each.value, each.scope, each.mask) for each in secrets]
            _cloud("Storing secrets").put(given)
            return
        runner = _runner("Storing secrets")
        runner.put(
            [
                runner.StoredSecret(
                    runner.SecretName(each.scope, each.key), each.value, each.mask, time.time()
                )
                for each in secrets
            ],
            target.profile_of_launch(),
        )
    except Exception as error:  # noqa: BLE001 - whatever it is, the script is here to give a tree
        _print_once(f"secrets were not stored: {error}")


def _is_in_cloud() -> bool:
    return target.of_process() == "cloud" and not target.in_node()


def _cloud(what: str) -> Any:
    """Return the secrets of the cloud installation that the profile is logged in to.

    Raises:
        NotAvailableError: This Python is without the host's packages.
    """
    if not _host.can_run():
        raise NotAvailableError(f"{what} with Python before 3.11", "Use `conducto secrets`.")
    connect: Any = _host.client_name("connect")
    return connect("cloud", profile=target.profile_of_launch()).secrets


def _runner(what: str) -> Any:
    """Return the local runner's module for scripts, which does not exist inside nodes.

    Raises:
        NotAvailableError: It does not exist here.
    """
    if target.in_node():
        raise NotAvailableError(f"{what} inside a node", "A node finds them in its environment.")
    if not _host.can_run():
        raise NotAvailableError(f"{what} with Python before 3.11", "Use `conducto secrets`.")
    return _host.secrets()


_said: set[str] = set()


def _print_once(text: str) -> None:
    """Print a message once per process: a script may declare many secrets."""
    if text not in _said:
        _said.add(text)
        print(f"conducto: {text}", file=sys.stderr)  # noqa: T201 - for the person at the terminal
