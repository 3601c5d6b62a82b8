"""Access points: what a worker sees of the file system, and as whom.

Each pipeline and each user has one of its own, made when first needed. The file system takes
10,000 of them, so a pipeline's goes when it is archived, and comes back with its next worker.
"""

from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from botocore.exceptions import ClientError  # type: ignore[import-untyped]

from chalicelib.adapters import table_keys
from chalicelib.adapters.aws_errors import code_of, ignoring, throttling
from chalicelib.adapters.clients import Clients
from chalicelib.adapters.dynamodb import DynamoTable
from conducto_core.model.deployment import STAGE_TAG, pipeline_directory, user_directory

_EXISTS = "AccessPointAlreadyExists"
#: Attribute: how many access points of a name there were before.
_GENERATION = "generation"


class EfsAccessPoints:
    """Access points of one file system of EFS.

    Args:
        clients: boto3's.
        table: Knows their ids.
        file_system: Its id.
        stage: They are tagged with it: nobody chooses their ids, and the tag is what tells them
            from those of another installation.
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
        # The next one is asked for by another token: by this one, EFS would give the old one.
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
                    # Whatever user an image has: its commands may read and write everything.
                    PosixUser={"Uid": 0, "Gid": 0},
                    RootDirectory={
                        "Path": directory,
                        "CreationInfo": {"OwnerUid": 0, "OwnerGid": 0, "Permissions": "0755"},
                    },
                )
        except ClientError as error:
            if code_of(error) != _EXISTS:
                raise
            return str(error.response["AccessPointId"])  # another process was first
        return str(answer["AccessPointId"])

    @property
    def _client(self) -> Any:
        return self._clients.get("efs")


def _generation(known: Mapping[str, Any]) -> int:
    return int(known.get(_GENERATION, 0))
