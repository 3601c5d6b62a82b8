"""Secret values in Secrets Manager, and which value of a scope is the current one, in the table.

Secrets Manager keeps old versions of a secret: a version without a staging label can still be read
by its id, and only deleting the whole secret removes it. So each version of a scope is an AWS
secret of its own, and the table names the current one. A change creates the new secret, makes it
current, and then deletes the previous one without a recovery period.
"""

import json
import time
from collections.abc import Callable, Mapping
from typing import Any
from uuid import uuid4

from chalicelib.aws import table_keys
from chalicelib.aws.clients import Clients, Tags, upper
from chalicelib.aws.dynamodb import NEW, Condition, DynamoTable
from chalicelib.aws.errors import client_error, code_of, ignoring, throttling
from chalicelib.errors import ConflictError
from conducto_core.errors import RefusedError
from conducto_core.secrets.port import SecretStoreError
from conducto_core.secrets.rules import Reference

#: Secrets Manager's maximum size of a secret in bytes.
MAX_SECRET = 65_536
_MISSING = "ResourceNotFoundException"
#: Seconds after which a version that is not current belongs to no running change: functions run
#: for at most 15 minutes.
_ABANDONED_SECONDS = 900.0
#: Seconds before a current version that Secrets Manager does not find yet is read again.
_PAUSES = (0.1, 0.2, 0.4)


class SecretsManager:
    """A `chalicelib.people.port.SecretVault`; names of secrets start with ``prefix``."""

    def __init__(
        self,
        clients: Clients,
        table: DynamoTable,
        prefix: str,
        tags: Tags,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._clients = clients
        self._table = table
        self._prefix = prefix
        self._tags = upper(tags.pairs())
        self._clock = clock

    def read(self, scope: str) -> Mapping[str, Mapping[str, Any]]:
        return self._current(scope)[0]

    def read_version(self, scope: str) -> tuple[Mapping[str, Mapping[str, Any]], str]:
        """Return a scope's secrets and their version, and delete values of interrupted changes."""
        self._delete_old(scope)
        return self._current(scope)

    def _current(self, scope: str) -> tuple[Mapping[str, Mapping[str, Any]], str]:
        pauses = iter(_PAUSES)
        while version := self._version(scope):
            with throttling(), ignoring(_MISSING):
                response = self._client.get_secret_value(SecretId=self._name(scope, version))
                found: dict[str, Mapping[str, Any]] = json.loads(response["SecretString"])
                return found, version
            if self._version(scope) != version:
                continue  # it was replaced and deleted since
            pause = next(pauses, None)
            if pause is None:  # the table was restored to a time before the value was deleted
                return {}, version
            time.sleep(pause)
        return {}, ""

    def _version(self, scope: str) -> str:
        item = self._table.get(table_keys.current_secret(scope))
        return "" if item is None else str(item["secret"])

    def replace(self, scope: str, secrets: Mapping[str, Mapping[str, Any]], version: str) -> None:
        """Replace a version of a scope's secrets.

        Raises:
            ConflictError: Another version is current.
            RefusedError: The secrets are too large; nothing was written.
        """
        text = json.dumps(secrets, separators=(",", ":"), ensure_ascii=False)
        _check_size(scope, text)
        new = self._create(scope, text) if secrets else ""
        try:
            self._table.put_where(
                table_keys.current_secret(scope),
                {"secret": new, "replaced": version},
                "secret = :known" if version else f"{NEW} OR secret = :known",
                {":known": version},
            )
        except ConflictError as error:
            self._delete(scope, new)
            raise ConflictError(f"{scope}: another process changed its secrets") from error
        self._delete_old(scope)

    def _create(self, scope: str, text: str) -> str:
        """Store a value that is not current yet; return its version."""
        version = uuid4().hex
        # First, so that a value that exists is known, wherever a process ends.
        self._table.put(table_keys.secret_version(scope, version), {"created": self._clock()})
        with throttling():
            self._client.create_secret(
                Name=self._name(scope, version), SecretString=text, Tags=self._tags
            )
        return version

    def _delete_old(self, scope: str) -> None:
        """Delete the previous version, and those of changes that a dead process began."""
        item = self._table.get(table_keys.current_secret(scope)) or {}
        abandoned = self._clock() - _ABANDONED_SECONDS
        for version, known in self._table.below(table_keys.secret_version(scope, "")):
            is_old = version == item.get("replaced") or float(known["created"]) < abandoned
            if is_old and version != item.get("secret"):
                self._delete(scope, version)
        if item.get("secret") == "":
            unchanged = Condition(f"{NEW} OR secret = :none", {":none": ""})
            key = table_keys.current_secret(scope)
            self._table.try_transact([self._table.delete_operation(key, condition=unchanged)])

    def _delete(self, scope: str, version: str) -> None:
        if not version:
            return
        with throttling(), ignoring(_MISSING):
            self._client.delete_secret(
                SecretId=self._name(scope, version), ForceDeleteWithoutRecovery=True
            )
        self._table.delete(table_keys.secret_version(scope, version))

    @property
    def _client(self) -> Any:
        return self._clients.get("secretsmanager")

    def _name(self, scope: str, version: str) -> str:
        return f"{self._prefix}{scope}/{version}"


#: Errors of AWS for which another attempt does not help.
_FINAL = {
    "ResourceNotFoundException": "there is no such secret or version",
    "ParameterNotFound": "there is no such parameter",
    "ParameterVersionNotFound": "the parameter has no such version",
    "AccessDeniedException": "the installation has no permission to read it, or its KMS key",
    "DecryptionFailure": "its KMS key does not allow the installation to decrypt it",
    "InvalidRequestException": "it is marked for deletion, or is not text",
}


def read_reference(clients: Clients, reference: Reference) -> str:
    """Return the text of a secret of Secrets Manager or a parameter of SSM.

    Raises:
        SecretStoreError: It does not exist, or the functions may not read it.
    """
    name, version = reference.name, reference.version
    try:
        with throttling():
            if reference.store == "ssm":
                full = name if version is None else f"{name}:{version}"
                found = clients.get("ssm").get_parameter(Name=full, WithDecryption=True)
                return str(found["Parameter"]["Value"])
            about = {"SecretId": name, **({} if version is None else {"VersionId": version})}
            return str(clients.get("secretsmanager").get_secret_value(**about)["SecretString"])
    except client_error() as error:
        reason = _FINAL.get(code_of(error), code_of(error))
        raise SecretStoreError(f"AWS cannot read it: {reason}") from None
    except KeyError:
        raise SecretStoreError("its value is binary, not text") from None


def _check_size(scope: str, text: str) -> None:
    size = len(text.encode())
    if size > MAX_SECRET:
        raise RefusedError(
            f"the secrets of {scope} would have {size} bytes in total, and Secrets Manager "
            f"allows {MAX_SECRET}; delete some, or keep large values in a data file"
        )
