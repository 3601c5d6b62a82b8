"""The requests of a command: through files in its container, or over HTTPS in the cloud."""

# ruff: noqa: PTH118, PTH123
# pathlib is a heavy import.

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
import uuid
from http.client import HTTPException

from conducto.errors import AgentUnreachableError, ApiError, ConductoError, DefinitionError
from conducto.wire.launching import CALLS, CHANNEL, CHILDREN, LAUNCH, MAX_BODY, TOKEN

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Optional, Tuple

    Answer = Tuple[int, bytes]

#: Seconds to wait for a response.
TIMEOUT = 300.0
#: Seconds between two looks for a response in a file: the first one, and the longest.
_FIRST_LOOK, _LONGEST_LOOK = 0.002, 0.1
_BAD_STATUS, _TOO_LARGE = 400, 413
_DEFINITION = "#definition"


def current_target() -> str:
    """Return the target of this command: ``local`` or ``cloud``."""
    return "local" if os.environ.get(CHANNEL) else "cloud"


def call(
    method: str, name: str = "", body: Optional[Dict[str, Any]] = None, *, key: Optional[str] = None
) -> Dict[str, Any]:
    """Return the response to a request about children.

    Args:
        method: ``GET`` or ``POST``.
        name: Id of a child.
        body: JSON of the request.
        key: Key under which a repeated request is executed once.

    Raises:
        ConductoError: the command has no token.
        DefinitionError: the server rejects the tree.
        ApiError: the server rejects the request.
        AgentUnreachableError: there is no response.
    """
    token = _token()
    path = f"{CHILDREN}/{name}" if name else CHILDREN
    text = "" if body is None else json.dumps(body)
    if len(text) > MAX_BODY:
        raise _refused(
            _TOO_LARGE,
            f"the pipeline has {len(text):,} bytes as a request; the maximum is {MAX_BODY:,}. "
            "Launch several pipelines, or generate nodes with co.Lazy",
        )
    directory = os.environ.get(CHANNEL)
    if directory:
        request = {"token": token, "method": method, "path": path, "key": key, "body": text}
        status, data = _through_files(directory, request)
    else:
        status, data = _over_http(token, method, path, text, key)
    if status >= _BAD_STATUS:
        raise _error(status, data)
    return _object(data)


def _token() -> str:
    token = os.environ.get(TOKEN)
    if token:
        return token
    if os.environ.get(LAUNCH) == "1":
        raise ConductoError(
            "this process has no token to launch pipelines: only the command of an attempt has "
            f"one, as {TOKEN}; a debug shell does not"
        )
    raise ConductoError(
        f"the command of {os.environ.get('CONDUCTO_NODE', 'this node')} may not launch pipelines; "
        "set launch=True on the node, or on a group around it"
    )


def _through_files(directory: str, request: Dict[str, Any]) -> Answer:
    """Send a request through the pipe in the directory; return the response, from a file there."""
    name = uuid.uuid4().hex
    # The line end in front separates it from a request whose process was killed.
    line = ("\n" + json.dumps({"id": name, **request}) + "\n").encode()
    try:
        _write(directory, line)
        answer = _read(directory, os.path.join(directory, name))
    except OSError as error:
        raise AgentUnreachableError(
            f"the agent cannot be reached from this command ({error}); the attempt that may launch "
            "pipelines has ended, or the command runs as another user"
        ) from error
    return int(answer["status"]), answer["body"].encode()


def _write(directory: str, line: bytes) -> None:
    lock = os.open(os.path.join(directory, "lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)  # so that the lines of several processes do not mix
        pipe = _opened(directory)
        try:
            os.set_blocking(pipe, True)
            left = memoryview(line)
            while left:
                left = left[os.write(pipe, left) :]
        finally:
            os.close(pipe)
    finally:
        os.close(lock)


def _opened(directory: str) -> int:
    """Open the pipe; an `OSError` if nothing reads it."""
    return os.open(os.path.join(directory, CALLS), os.O_WRONLY | os.O_NONBLOCK)


def _read(directory: str, file: str) -> Dict[str, Any]:
    end = time.monotonic() + TIMEOUT
    pause = _FIRST_LOOK
    while time.monotonic() < end:
        with contextlib.suppress(FileNotFoundError), open(file, "rb") as stream:
            data = stream.read()
            if data.endswith(b"\n"):
                os.unlink(file)  # noqa: PTH108
                return _object(data)
        os.close(_opened(directory))
        time.sleep(pause)
        pause = min(2 * pause, _LONGEST_LOOK)
    raise TimeoutError(f"no response in {TIMEOUT:.0f} seconds")


def _over_http(token: str, method: str, path: str, text: str, key: Optional[str]) -> Answer:
    import urllib.error  # noqa: PLC0415 - heavy, and for the cloud only
    import urllib.request  # noqa: PLC0415

    from conducto.integrations.http import NoRedirect  # noqa: PLC0415

    url = os.environ.get("CONDUCTO_URL", "").rstrip("/")
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    if key is not None:
        headers["Idempotency-Key"] = key
    data = text.encode() if text else None
    request = urllib.request.Request(url + path, data, headers, method=method)  # noqa: S310
    opener = urllib.request.build_opener(NoRedirect)
    try:
        with opener.open(request, timeout=TIMEOUT) as response:
            return response.status, response.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()
    except (OSError, HTTPException) as error:
        raise AgentUnreachableError(f"{url} does not answer: {error}") from error


def _object(data: bytes) -> Dict[str, Any]:
    try:
        found = json.loads(data)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise AgentUnreachableError(f"the response is not one of Conducto: {data[:100]!r}")
    return found


def _error(status: int, data: bytes) -> ConductoError:
    try:
        problem = _object(data)
    except AgentUnreachableError as error:
        problem = {"detail": str(error)}
    said = [problem.get("detail") or problem.get("message") or f"status {status}"]
    said += [problem["remedy"]] if problem.get("remedy") else []
    text = "; ".join(map(str, said))
    if str(problem.get("type", "")).endswith(_DEFINITION):
        return DefinitionError(text, path=problem.get("path"))
    return _refused(status, text)


def _refused(status: int, text: str) -> ApiError:
    refused = ApiError(text)
    refused.status = status
    return refused
