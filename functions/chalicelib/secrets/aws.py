"""Secret values in Secrets Manager: one AWS secret per scope."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from chalicelib.aws.clients import Clients, Tags, upper
from chalicelib.aws.errors import ignoring, replacing, throttling
from chalicelib.errors import ConflictError
from conducto_core.errors import RefusedError

#: Secrets Manager's maximum size of a secret in bytes.
MAX_SECRET = 65_536
_MISSING = "ResourceNotFoundException"
#: The staging labels of the current version (AWS's own) and of the next one.
_CURRENT, _NEXT = "AWSCURRENT", "CONDUCTO_NEXT"
#: AWS's errors for a version that is no longer the current one.
_STALE = ("InvalidParameterException", "InvalidRequestException")


class SecretsManager:
    """A `chalicelib.people.port.SecretVault`; names of secrets start with ``prefix``."""

    def __init__(self, clients: Clients, prefix: str, tags: Tags) -> None:
        self._clients = clients
        self._prefix = prefix
        self._tags = upper(tags.pairs())

    def read(self, scope: str) -> Mapping[str, Mapping[str, Any]]:
        """Return a scope's secrets, or {} if it has none."""
        return self.read_version(scope)[0]

    def read_version(self, scope: str) -> tuple[Mapping[str, Mapping[str, Any]], str]:
        """Return a scope's secrets and their version."""
        with throttling(), ignoring(_MISSING):
            response = self._client.get_secret_value(
                SecretId=self._name(scope), VersionStage=_CURRENT
            )
            found: dict[str, Mapping[str, Any]] = json.loads(response["SecretString"])
            return found, str(response["VersionId"])
        return {}, ""

    def replace(self, scope: str, secrets: Mapping[str, Mapping[str, Any]], version: str) -> None:
        """Replace a version of a scope's secrets.

        The new version is stored first, and then made current in one step that names the previous
        version: AWS rejects it if another version is current by now.

        Raises:
            ConflictError: Another version is current.
            RefusedError: The secrets are too large; nothing was written.
        """
        text = json.dumps(secrets, separators=(",", ":"), ensure_ascii=False)
        _check_size(scope, text)
        name = self._name(scope)
        if not version:
            with _overtaken(scope, "ResourceExistsException"):
                self._client.create_secret(Name=name, SecretString=text, Tags=self._tags)
            return
        with _overtaken(scope, _MISSING):
            made = self._client.put_secret_value(
                SecretId=name, SecretString=text, VersionStages=[_NEXT]
            )
        with _overtaken(scope, _MISSING, *_STALE):
            self._client.update_secret_version_stage(
                SecretId=name,
                VersionStage=_CURRENT,
                MoveToVersionId=made["VersionId"],
                RemoveFromVersionId=version,
            )

    @property
    def _client(self) -> Any:
        return self._clients.get("secretsmanager")

    def _name(self, scope: str) -> str:
        return f"{self._prefix}{scope}"


def _check_size(scope: str, text: str) -> None:
    size = len(text.encode())
    if size > MAX_SECRET:
        raise RefusedError(
            f"the secrets of {scope} would have {size} bytes in total, and Secrets Manager "
            f"allows {MAX_SECRET}; delete some, or keep large values in a data file"
        )


@contextmanager
def _overtaken(scope: str, *codes: str) -> Iterator[None]:
    conflict = ConflictError(f"{scope}: another process changed its secrets")
    with throttling(), replacing(codes, conflict):
        yield
