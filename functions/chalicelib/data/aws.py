"""Data files through the function that mounts the file system."""

import base64
import json
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

from chalicelib.aws import table_keys
from chalicelib.aws.clients import Clients
from chalicelib.aws.dynamodb import DynamoTable
from chalicelib.aws.errors import client_error, code_of, ignoring, throttling, timing_out
from chalicelib.data.model import What, raise_error
from chalicelib.run.port import FileFacts
from conducto_core.asl.rules.naming import Site
from conducto_core.cache.marks import Marks
from conducto_core.installation.names import STAGE_TAG, pipeline_directory, user_directory
from conducto_core.run.model.responses import ChangedData, DataEntry, DataList, Deleted

#: Timeout of the function in seconds, below API Gateway's 29 s. It is invoked once, because it may
#: still be writing when a second invocation would start.
RESPONSE_SECONDS = 26.0


class DataFunction:
    """A `chalicelib.run.port.DataFiles` that invokes the function ``data``."""

    def __init__(self, clients: Clients, function: str) -> None:
        self._clients = clients
        self._function = function

    def entries(self, directory: str, name: str, after: str | None, limit: int) -> DataList:
        found = self._ask("entries", directory=directory, name=name, after=after, limit=limit)
        return DataList.model_validate(found)

    def changed(self, directory: str, since: float, until: float | None, limit: int) -> ChangedData:
        found = self._ask("changed", directory=directory, since=since, until=until, limit=limit)
        return ChangedData.model_validate(found)

    def stat(self, directory: str, name: str) -> FileFacts:
        return FileFacts(*self._ask("look", directory=directory, name=name))

    def stage(self, directory: str, name: str, key: str) -> None:
        self._ask("stage", directory=directory, name=name, key=key)

    def write(self, directory: str, name: str, data: bytes) -> DataEntry:
        text = base64.b64encode(data).decode()
        found = self._ask("write", directory=directory, name=name, data=text)
        return DataEntry.model_validate(found)

    def fetch(self, directory: str, name: str, key: str) -> DataEntry:
        return DataEntry.model_validate(self._ask("fetch", directory=directory, name=name, key=key))

    def begin(self, what: What, directory: str, name: str, key: str) -> None:
        """Start staging or fetching a file, and return at once."""
        request = {"do": "later", "what": what, "directory": directory, "name": name, "key": key}
        with throttling():
            self._clients.get("lambda").invoke(
                FunctionName=self._function, InvocationType="Event", Payload=json.dumps(request)
            )

    def marks(
        self, directory: str, contents: str, patterns: Sequence[str], seconds: float
    ) -> Marks:
        """Return the marks of the files that patterns name."""
        names = list(patterns)
        found = self._ask(
            "marks", directory=directory, contents=contents, patterns=names, seconds=seconds
        )
        return Marks(*found)

    def save_contents(self, directory: str, contents: str, wrote: Mapping[str, str]) -> int:
        return int(self._ask("keep", directory=directory, contents=contents, wrote=dict(wrote)))

    def place(
        self,
        directory: str,
        contents: str,
        writes: Sequence[str],
        wrote: Mapping[str, str],
        seconds: float,
    ) -> None:
        """Write the files of an entry of the cache to the data."""
        self._ask(
            "place",
            directory=directory,
            contents=contents,
            writes=list(writes),
            wrote=dict(wrote),
            seconds=seconds,
        )

    def trim(self, days: float) -> None:
        self._ask("trim", days=days)

    def delete(self, directory: str, name: str) -> Deleted:
        return Deleted.model_validate(self._ask("delete", directory=directory, name=name))

    def total(self, directory: str, seconds: float) -> int:
        """Return the bytes of all files of a directory; raises `TimeoutError`."""
        whole = min(seconds, RESPONSE_SECONDS - 2)
        with timing_out(f"the files of {directory} were not counted within {whole:g} s"):
            return int(self._ask("total", directory=directory, seconds=whole))

    def forget(self, directory: str, seconds: float = RESPONSE_SECONDS) -> None:
        """Delete a directory and its contents; raises `TimeoutError`."""
        # Whole seconds, because `Clients` keeps a client for each timeout.
        whole = max(1, int(min(seconds, RESPONSE_SECONDS)))
        with timing_out(f"{directory} was not deleted within {whole} s"):
            self._ask("forget", whole, directory=directory)

    def _ask(self, do: str, seconds: float = RESPONSE_SECONDS, /, **request: Any) -> Any:
        with throttling():
            response = self._clients.once("lambda", seconds).invoke(
                FunctionName=self._function, Payload=json.dumps({"do": do, **request})
            )
        said = json.loads(response["Payload"].read())
        if "FunctionError" in response:
            raise RuntimeError(f"the data function failed: {said.get('errorMessage', said)}")
        if "error" in said:
            raise_error(said)
        return said["answer"]


# ----------------------------------------------------------------------------------------
# Access points: a worker's view of the file system, and its user id.
#
# Each pipeline and each user has its own, created on first use. A file system is limited to 10,000,
# so a pipeline's access point is deleted when it is archived, and recreated for its next worker.


_EXISTS = "AccessPointAlreadyExists"
_UNKNOWN = "AccessPointNotFound"
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
        with throttling(), ignoring(_UNKNOWN, "ResourceNotFoundException"):
            self._delete(str(known["id"]))
        # The next one needs another token: for this one, EFS would return the deleted one.
        self._table.put(key, {_GENERATION: _generation(known) + 1})

    def _ensure(self, name: str, directory: str) -> str:
        key = table_keys.files(name)
        known = self._table.get(key) or {}
        if "id" not in known:
            generation = _generation(known)
            found = self._create(f"{name}/{generation}" if generation else name, directory)
            self._table.put(key, {"id": found, _GENERATION: generation})
            return found
        return str(known["id"])

    def volume(self, name: str, access_point: str) -> dict[str, Any]:
        """Return the volume of a task definition for an access point."""
        return {
            "name": name,
            "efsVolumeConfiguration": {
                "fileSystemId": self.file_system,
                "transitEncryption": "ENABLED",
                "authorizationConfig": {"accessPointId": access_point, "iam": "ENABLED"},
            },
        }

    def _create(self, name: str, directory: str) -> str:
        token = sha256(f"{self.file_system}/{name}".encode()).hexdigest()
        with throttling():
            return self._make(token, directory)

    def _make(self, token: str, directory: str) -> str:
        try:
            answer = self._clients.get("efs").create_access_point(
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

    def _delete(self, access_point: str) -> None:
        self._clients.get("efs").delete_access_point(AccessPointId=access_point)


class S3AccessPoints(EfsAccessPoints):
    """Access points of a file system of S3 Files.

    Args:
        site: Account and region.
        clients: boto3 clients.
        table: Stores the ids of access points.
        file_system: Id of the file system.
    """

    def __init__(self, site: Site, clients: Clients, table: DynamoTable, file_system: str) -> None:
        super().__init__(clients, table, file_system, site.stage)
        self._site = site

    def volume(self, name: str, access_point: str) -> dict[str, Any]:
        """Return the volume of a task definition for an access point."""
        return s3_volume(self._site, name, self.file_system, access_point)

    def _make(self, token: str, directory: str) -> str:
        answer = self._clients.get("s3files").create_access_point(
            clientToken=token,  # a repeated request gets the same access point
            fileSystemId=self.file_system,
            tags=[{"key": STAGE_TAG, "value": self._site.stage}],
            posixUser={"uid": 0, "gid": 0},
            rootDirectory={
                "path": directory,
                "creationPermissions": {"ownerUid": 0, "ownerGid": 0, "permissions": "0755"},
            },
        )
        return str(answer["accessPointId"])

    def _delete(self, access_point: str) -> None:
        self._clients.get("s3files").delete_access_point(accessPointId=access_point)


def s3_volume(site: Site, name: str, system: str, point: str) -> dict[str, Any]:
    """Return the volume of a task definition for an access point of S3 Files."""
    arn = f"arn:{site.partition}:s3files:{site.region}:{site.account}:file-system/{system}"
    files = {"fileSystemArn": arn, "accessPointArn": f"{arn}/access-point/{point}"}
    return {"name": name, "s3filesVolumeConfiguration": files}


def _generation(known: Mapping[str, Any]) -> int:
    return int(known.get(_GENERATION, 0))
