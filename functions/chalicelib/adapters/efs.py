"""Access points: a worker's view of the file system, and its user id.

Each pipeline and each user has its own, created on first use. A file system is limited to 10,000,
so a pipeline's access point is deleted when it is archived, and recreated for its next worker.
"""

from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from chalicelib.adapters import table_keys
from chalicelib.adapters.aws_errors import client_error, code_of, ignoring, throttling
from chalicelib.adapters.clients import Clients
from chalicelib.adapters.dynamodb import DynamoTable
from conducto_core.model.deployment import STAGE_TAG, pipeline_directory, user_directory

_EXISTS = "AccessPointAlreadyExists"
#: Attribute: number of earlier access points of a name.
_GENERATION = "generation"


class EfsAccessPoints:
    """Access points of one EFS file system.

    Args:
        clients: boto3 clients.
        table: Stores their ids.
        file_system: Its id.
        stage: Tag of the access points, which distinguishes them from those of other installations;
            their ids cannot be chosen.
    """

    def __init__(self, clients: Clients, table: DynamoTable, file_system: str, stage: str) -> None:
        self._clients = clients
        self._table = table
        self.file_system = file_system
        self._tags = [{"Key": STAGE_TAG, "Value": stage}]

    def of_pipeline(self, pipeline_id: str) -> str:
        """Return the id of the access point of a pipeline's data."""
        return self._ensure(f"pipeline/{pipeline_id}", pipeline_directory(pipeline_id))

    def of_user(self, org: str, user: str) -> str:
        """Return the id of the access point of a user's data."""
        return self._ensure(f"user/{org}/{user}", user_directory(org, user))

    def forget_pipeline(self, pipeline_id: str) -> None:
        """Delete a pipeline's access point; its files stay, and the next one shows them."""
        key = table_keys.files(f"pipeline/{pipeline_id}")
        known = self._table.get(key)
        if known is None or "id" not in known:
            return
        with throttling(), ignoring("AccessPointNotFound"):
            self._client.delete_access_point(AccessPointId=str(known["id"]))
        # The next one needs another token: for this one, EFS would return the deleted one.
        self._table.put(key, {_GENERATION: _generation(known) + 1})

    def _ensure(self, name: str, directory: str) -> str:
        key = table_keys.files(name)
        known = self._table.get(key) or {}
        if "id" not in known:
            generation = _generation(known)
            found = self._make(f"{name}/{generation}" if generation else name, directory)
            self._table.put(key, {"id": found, _GENERATION: generation})
            return found
        return str(known["id"])

    def _make(self, name: str, directory: str) -> str:
        token = sha256(f"{self.file_system}/{name}".encode()).hexdigest()
        try:
            with throttling():
                answer = self._client.create_access_point(
                    ClientToken=token,
                    FileSystemId=self.file_system,
                    Tags=self._tags,
                    # Commands may read and write everything, whatever the image's user is.
                    PosixUser={"Uid": 0, "Gid": 0},
                    RootDirectory={
                        "Path": directory,
                        "CreationInfo": {"OwnerUid": 0, "OwnerGid": 0, "Permissions": "0755"},
                    },
                )
        except client_error() as error:
            if code_of(error) != _EXISTS:
                raise
            return str(error.response["AccessPointId"])  # another process was first
        return str(answer["AccessPointId"])

    @property
    def _client(self) -> Any:
        return self._clients.get("efs")


def _generation(known: Mapping[str, Any]) -> int:
    return int(known.get(_GENERATION, 0))
