"""Data files through the function that mounts the file system."""

import base64
import json
from typing import Any

from chalicelib.adapters.aws_errors import throttling, timing_out
from chalicelib.adapters.clients import Clients
from chalicelib.domain.data_protocol import What, raise_error
from chalicelib.ports.storage import FileFacts
from conducto_core.model.responses import ChangedData, DataEntry, DataList, Deleted

#: Timeout of the function in seconds, below API Gateway's 29 s. It is invoked once, because it may
#: still be writing when a second invocation would start.
RESPONSE_SECONDS = 26.0


class DataFunction:
    """A `chalicelib.ports.storage.DataFiles` that invokes the function ``data``."""

    def __init__(self, clients: Clients, function: str) -> None:
        self._clients = clients
        self._function = function

    def entries(self, directory: str, name: str, after: str | None, limit: int) -> DataList:
        """Return a page of the entries of a directory, by name."""
        found = self._ask("entries", directory=directory, name=name, after=after, limit=limit)
        return DataList.model_validate(found)

    def changed(self, directory: str, since: float, until: float | None, limit: int) -> ChangedData:
        """Return the files that were last written within a period, newest first."""
        found = self._ask("changed", directory=directory, since=since, until=until, limit=limit)
        return ChangedData.model_validate(found)

    def look(self, directory: str, name: str) -> FileFacts:
        """Return the size and version of a file."""
        return FileFacts(*self._ask("look", directory=directory, name=name))

    def stage(self, directory: str, name: str, key: str) -> None:
        """Copy a file to an object in the bucket."""
        self._ask("stage", directory=directory, name=name, key=key)

    def write(self, directory: str, name: str, data: bytes) -> DataEntry:
        """Write a file."""
        text = base64.b64encode(data).decode()
        found = self._ask("write", directory=directory, name=name, data=text)
        return DataEntry.model_validate(found)

    def fetch(self, directory: str, name: str, key: str) -> DataEntry:
        """Write a file from an object in the bucket."""
        return DataEntry.model_validate(self._ask("fetch", directory=directory, name=name, key=key))

    def begin(self, what: What, directory: str, name: str, key: str) -> None:
        """Start staging or fetching a file, and return at once."""
        request = {"do": "later", "what": what, "directory": directory, "name": name, "key": key}
        with throttling():
            self._clients.get("lambda").invoke(
                FunctionName=self._function, InvocationType="Event", Payload=json.dumps(request)
            )

    def delete(self, directory: str, name: str) -> Deleted:
        """Delete a file, or a directory and its contents."""
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
