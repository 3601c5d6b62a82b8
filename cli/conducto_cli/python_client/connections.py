"""``co.connect``."""

from conducto_cli.python_client.hosts import open_target, selected
from conducto_client.data import Data
from conducto_client.secrets import SecretStore
from conducto_client.target import Target, TargetName


class Connection:
    """A target: the data of the user and the secrets there.

    Attributes:
        data: The user's data, which all pipelines share.
        secrets: The secrets of the user and of the organisation.
    """

    def __init__(self, target: Target) -> None:
        self._target = target
        self.data = Data(target, None)
        self.secrets = SecretStore(target)

    @property
    def target(self) -> TargetName:
        """``local`` or ``cloud``."""
        return self._target.name

    def __repr__(self) -> str:
        return f"<connection ({self.target})>"


def connect(target: TargetName | None = None, *, profile: str | None = None) -> Connection:
    """Return a target, for the user's data and the secrets.

    Args:
        target: ``local`` or ``cloud``; by default that of the profile, else ``local``.
        profile: The profile; by default the one in use.
    """
    return Connection(open_target(selected(target, profile) or "local", profile))
