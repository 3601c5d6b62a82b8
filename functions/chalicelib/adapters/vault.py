"""Values of secrets in Secrets Manager: one secret of its own for each scope."""

import json
from collections.abc import Mapping
from typing import Any

from chalicelib.adapters.clients import Clients
from chalicelib.adapters.failures import code_of, ignoring, throttling
from conducto.service.port import RefusedError

#: Bytes of one secret; Secrets Manager's own limit.
MAX_SECRET = 65_536
_MISSING = "ResourceNotFoundException"


class SecretsManager:
    """A `chalicelib.ports.SecretVault`.

    Args:
        clients: boto3's.
        prefix: What the names of secrets begin with, e.g. ``conducto/main/``.
    """

    def __init__(self, clients: Clients, prefix: str) -> None:
        self._clients = clients
        self._prefix = prefix

    def read(self, scope: str) -> Mapping[str, Mapping[str, Any]]:
        """Return a scope's secrets; empty when there are none."""
        try:
            with throttling():
                answer = self._client.get_secret_value(SecretId=self._name(scope))
        except Exception as error:
            if code_of(error) == _MISSING:
                return {}
            raise
        found: dict[str, Mapping[str, Any]] = json.loads(answer["SecretString"])
        return found

    def write(self, scope: str, secrets: Mapping[str, Mapping[str, Any]]) -> None:
        """Replace a scope's secrets.

        Raises:
            RefusedError: they are too many; nothing was written.
        """
        text = json.dumps(secrets, separators=(",", ":"), ensure_ascii=False)
        size = len(text.encode())
        if size > MAX_SECRET:
            raise RefusedError(
                f"the secrets of {scope} would have {size} bytes together, and Secrets Manager "
                f"takes {MAX_SECRET}; delete some, or keep large values in a data file"
            )
        with throttling():
            with ignoring("ResourceExistsException"):
                if self._put(scope, text):
                    return
                self._client.create_secret(Name=self._name(scope), SecretString=text)
                return
            self._put(scope, text)  # somebody made it in between

    def _put(self, scope: str, text: str) -> bool:
        """Write over a secret; return whether there is one."""
        try:
            self._client.put_secret_value(SecretId=self._name(scope), SecretString=text)
        except Exception as error:
            if code_of(error) != _MISSING:
                raise
            return False
        return True

    @property
    def _client(self) -> Any:
        return self._clients.get("secretsmanager")

    def _name(self, scope: str) -> str:
        return f"{self._prefix}{scope}"
