"""Secrets of a command: read when it starts, kept in memory for seconds, stored nowhere."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from threading import Lock
from types import MappingProxyType

from chalicelib.people.port import SecretVault
from conducto_core.command.masking import Mask, can_be_masked
from conducto_core.notifications.channels import SMTP_PASSWORD
from conducto_core.programs.rules.fingerprints import SecretOrigins
from conducto_core.secrets.port import SecretName
from conducto_core.secrets.rules import SecretAccess, granted, in_order

NONE: Mapping[str, str] = MappingProxyType({})
#: Seconds for which a process keeps secrets: Secrets Manager charges for each read.
SECRET_SECONDS = 30.0
#: Seconds by which the clocks of two processes may differ.
SKEW = 1.0


def org_scope(org: str) -> str:
    """Return the scope of the secrets of all pipelines of an organisation."""
    return f"org/{org}"


def user_scope(org: str, user: str) -> str:
    """Return the scope of one user's secrets, which take precedence over the organisation's."""
    return f"user/{org}/{user}"


@dataclass(frozen=True, slots=True)
class InjectedSecrets:
    """The secrets of one command.

    Attributes:
        env: ``{name: value}``.
        masked: Values to mask in its output.
        origins: ``{name: (scope and set, time of the last change)}`` of the secrets.
        references: ``{name: reference}`` of the secrets in other stores, without values in ``env``.
        shown: Names of the secrets that are not masked.
    """

    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    masked: tuple[str, ...] = field(default=(), repr=False)
    origins: SecretOrigins = field(default_factory=dict)
    references: Mapping[str, str] = field(default_factory=dict)
    shown: frozenset[str] = frozenset()

    def mask(self) -> Mask:
        return Mask(self.masked)

    def only(self, names: Collection[str] | None) -> "InjectedSecrets":
        """Return those that a command gets (None: all); the mask hides the others, too."""
        if names is None:
            return self
        origins = {name: each for name, each in self.origins.items() if name in names}
        references = {name: each for name, each in self.references.items() if name in names}
        env = granted(self.env, self.origins, names)
        return replace(self, env=env, origins=origins, references=references)

    def with_values(self, values: Mapping[str, str]) -> "InjectedSecrets":
        """Return these secrets with the values of references."""
        hidden = (value for name, value in values.items() if name not in self.shown)
        masked = tuple(sorted({*self.masked, *filter(can_be_masked, hidden)}))
        return replace(self, env={**self.env, **values}, masked=masked)


def inject(
    vault: SecretVault,
    org: str,
    user: str | None,
    services: Mapping[str, str] = NONE,
    secret_set: str = "",
) -> InjectedSecrets:
    """Return the current secrets of a command.

    Args:
        vault: The secret store.
        org: The pipeline's organisation.
        user: The user whose secrets are included (`conducto_core.secrets.rules`); None:
            only those of the organisation.
        services: Environment variables with service addresses, masked like secrets because an
            address may contain a password.
        secret_set: The set whose secrets are included, besides those without a set.
    """
    written = {SecretName("org", key): each for key, each in vault.read(org_scope(org)).items()}
    if user is not None:
        own = vault.read(user_scope(org, user))
        written |= {SecretName("user", key): each for key, each in own.items()}
    chosen = {name.variable: name for name in in_order(written, secret_set)}
    secrets = {key: written[name] for key, name in chosen.items()}
    references = {
        key: str(secret["reference"]) for key, secret in secrets.items() if secret.get("reference")
    }
    values = {key: str(each["value"]) for key, each in secrets.items() if key not in references}
    shown = frozenset(key for key, secret in secrets.items() if not secret.get("mask", True))
    # Not those of other sets: a worker gets no value that its commands do not need.
    hidden = {str(each["value"]) for each in secrets.values() if each.get("mask", True)}
    hidden.update(services.values())
    origins = {
        key: (name.origin, float(written[name].get("updated", 0.0))) for key, name in chosen.items()
    }
    masked = tuple(sorted(filter(can_be_masked, hidden)))
    return InjectedSecrets({**values, **services}, masked, origins, references, shown)


def inject_commands(
    vault: SecretVault, org: str, access: SecretAccess, services: Mapping[str, str] = NONE
) -> InjectedSecrets:
    """Return the current secrets of commands with this access; see `inject`."""
    if not access.org:  # no addresses either: they may contain a password
        return InjectedSecrets()
    return inject(vault, org, access.user, services, access.secret_set)


class SecretCache:
    """The secrets of commands that a process has read, for some seconds.

    A command never gets values that were read before it was queued: a user who stores a secret
    and then runs a command gets the new value for it.

    Args:
        read: Reads the current secrets of commands of an organisation.
        clock: Seconds since the epoch.
    """

    def __init__(
        self, read: Callable[[str, SecretAccess], InjectedSecrets], clock: Callable[[], float]
    ) -> None:
        self._read, self._clock = read, clock
        self._kept: dict[tuple[str, SecretAccess], tuple[float, InjectedSecrets]] = {}
        self._lock = Lock()

    def get(self, org: str, access: SecretAccess, queued: float) -> InjectedSecrets:
        """Return the secrets of a command that was queued at a time, in seconds."""
        now = self._clock()
        with self._lock:
            for key, (read, _) in list(self._kept.items()):
                if not 0 <= now - read < SECRET_SECONDS:
                    del self._kept[key]
            found = self._kept.get((org, access))
        if found is not None and found[0] >= queued + SKEW:
            return found[1]
        secrets = self._read(org, access)
        with self._lock:
            self._kept[org, access] = (now, secrets)
        return secrets


def smtp_password(vault: SecretVault, org: str) -> str | None:
    """Return the password of the mail server, a secret of the organisation."""
    secret = vault.read(org_scope(org)).get(SMTP_PASSWORD)
    return None if secret is None or secret.get("reference") else str(secret["value"])
