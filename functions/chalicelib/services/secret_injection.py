"""Secrets on their way into a command: read when it starts, kept nowhere."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from chalicelib.ports import SecretVault
from conducto_core.runtime.masking import Mask, can_be_masked

NONE: Mapping[str, str] = MappingProxyType({})


def org_scope(org: str) -> str:
    """Return the scope of what all pipelines of an organisation get."""
    return f"org/{org}"


def user_scope(org: str, user: str) -> str:
    """Return the scope of what the pipelines of one person get; it wins over the org's."""
    return f"user/{org}/{user}"


@dataclass(frozen=True, slots=True)
class InjectedSecrets:
    """What one command gets.

    Attributes:
        env: ``{name: value}``.
        masked: Values to hide in what it prints.
    """

    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    masked: tuple[str, ...] = field(default=(), repr=False)

    def mask(self) -> Mask:
        """Return what hides them."""
        return Mask(self.masked)


def inject(
    vault: SecretVault, org: str, user: str | None, services: Mapping[str, str] = NONE
) -> InjectedSecrets:
    """Return what a command with this user's secrets gets now.

    Args:
        vault: Where secrets are.
        org: The pipeline's organisation.
        user: Whose secrets (`conducto_core.semantics.user_secrets`); None: only the organisation's.
        services: Variables that say where services are, hidden like secrets: an address may hold
            a password.
    """
    own = {} if user is None else vault.read(user_scope(org, user))
    secrets = {**vault.read(org_scope(org)), **own}
    values = {key: str(secret["value"]) for key, secret in secrets.items()}
    hidden = {values[key] for key, secret in secrets.items() if secret.get("mask", True)}
    hidden.update(services.values())
    return InjectedSecrets({**values, **services}, tuple(sorted(filter(can_be_masked, hidden))))
