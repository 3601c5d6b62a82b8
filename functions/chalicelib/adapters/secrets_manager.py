"""Values of secrets in Secrets Manager: one secret of its own for each scope."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from chalicelib.adapters.aws_errors import ignoring, replacing, throttling
from chalicelib.adapters.clients import Clients
from chalicelib.adapters.tags import Tags, upper
from chalicelib.ports import ConflictError
from conducto_core.errors import RefusedError

#: Bytes of one secret; Secrets Manager's own limit.
MAX_SECRET = 65_536
_MISSING = "ResourceNotFoundException"
#: AWS's own label of what readers get, and ours of what is to become that.
_CURRENT, _NEXT = "AWSCURRENT", "CONDUCTO_NEXT"
#: How AWS says that a version is not the current one any more.
_STALE = ("InvalidParameterException", "InvalidRequestException")


class SecretsManager:
    """A `chalicelib.ports.SecretVault`.

    Args:
        clients: boto3's.
        prefix: What the names of secrets begin with, e.g. ``conducto/main/``.
        tags: Of this installation; every secret has them.
    """

    def __init__(self, clients: Clients, prefix: str, tags: Tags) -> None:
        self._clients = clients
        self._prefix = prefix
        self._tags = upper(tags.of())

    def read(self, scope: str) -> Mapping[str, Mapping[str, Any]]:
        """Return a scope's secrets; empty when there are none."""
        return self.look(scope)[0]

    def look(self, scope: str) -> tuple[Mapping[str, Mapping[str, Any]], str]:
        """Return a scope's secrets and their version."""
        with throttling(), ignoring(_MISSING):
            answer = self._client.get_secret_value(
                SecretId=self._name(scope), VersionStage=_CURRENT
            )
            found: dict[str, Mapping[str, Any]] = json.loads(answer["SecretString"])
            return found, str(answer["VersionId"])
        return {}, ""

    def replace(self, scope: str, secrets: Mapping[str, Mapping[str, Any]], version: str) -> None:
        """Put secrets in the place of a version.

        They are first put beside it, and become the current ones in one step that names the
        version which has been that: AWS refuses it where another one is by now.

        Raises:
            ConflictError: another one is.
            RefusedError: they are too many; nothing was written.
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
            f"the secrets of {scope} would have {size} bytes together, and Secrets Manager "
            f"takes {MAX_SECRET}; delete some, or keep large values in a data file"
        )


@contextmanager
def _overtaken(scope: str, *codes: str) -> Iterator[None]:
    """Turn errors of these codes into `ConflictError`: somebody else was faster."""
    conflict = ConflictError(f"{scope}: somebody else changed its secrets")
    with throttling(), replacing(codes, conflict):
        yield
