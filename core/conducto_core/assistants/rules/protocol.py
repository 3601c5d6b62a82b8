"""The Model Context Protocol: one JSON-RPC message in, at most one out. Pure.

It speaks both eras: the handshake ``initialize`` (2024-11-05 to 2025-11-25), and 2026-07-28, in
which each request has version, client and capabilities in ``params._meta``, without a session. One
object serves stdio, an agent and an installation: it keeps nothing between two messages.
"""

import base64
import binascii
import hmac
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from conducto_core.assistants.rules.authority import client_name

#: Versions with a handshake, the oldest first, and those without a session.
HANDSHAKE = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")
MODERN = ("2026-07-28",)
#: The version of a request over HTTP without a header, as the protocol says.
_DEFAULT = HANDSHAKE[1]
_META = "io.modelcontextprotocol/"
#: Maximum bytes of a message.
MAX_MESSAGE = 1 << 20
PARSE_ERROR, INVALID_REQUEST, METHOD_NOT_FOUND = -32700, -32600, -32601
INVALID_PARAMS, INTERNAL_ERROR = -32602, -32603
HEADER_MISMATCH, UNSUPPORTED_VERSION = -32020, -32022
_STATUS = {
    PARSE_ERROR: 400,
    INVALID_REQUEST: 400,
    METHOD_NOT_FOUND: 404,
    INVALID_PARAMS: 400,
    HEADER_MISMATCH: 400,
    UNSUPPORTED_VERSION: 400,
}
#: Methods whose subject must be in the header ``Mcp-Name``, and the parameter with it.
_SUBJECTS = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri"}
#: Seconds for which a client may keep the list of tools.
_LIST_MS = 3_600_000
_JSON = "application/json"
_SIGNATURE = 32


@dataclass
class McpClient:
    """The client, as it names itself; never a reason to trust it."""

    name: str = ""
    version: str = _DEFAULT

    def named(self, info: Any) -> None:
        """Take the name from a client's information."""
        if isinstance(info, dict):
            words = (info.get("name"), info.get("version"))
            self.name = client_name("/".join(str(one) for one in words if one is not None))


class RpcError(Exception):
    """An error response."""

    def __init__(self, code: int, message: str, data: Any = None) -> None:
        super().__init__(message)
        self.code, self.message, self.data = code, message, data


#: Calls a tool: name, arguments, client; returns the result of ``tools/call``.
CallTool = Callable[[str, Mapping[str, Any], McpClient], Mapping[str, Any]]


class McpServer:
    """The methods of the protocol.

    Args:
        version: Version of Conducto.
        instructions: What every client should know.
        tools: The tools, as ``tools/list`` has them.
        call: Calls a tool.
    """

    def __init__(
        self,
        version: str,
        instructions: str,
        tools: Callable[[], list[dict[str, Any]]],
        call: CallTool,
    ) -> None:
        self._info = {"name": "conducto", "version": version}
        self._instructions = instructions
        self._tools = tools
        self._call = call

    def handle(self, message: Any, client: McpClient) -> dict[str, Any] | None:
        """Return the response to a message; None for a notification."""
        if not isinstance(message, dict) or message.get("jsonrpc") != "2.0":
            return error_response(None, RpcError(INVALID_REQUEST, "not a JSON-RPC 2.0 request"))
        if "method" not in message or "id" not in message:
            return None
        id_, method, params = message["id"], message["method"], message.get("params", {})
        if isinstance(id_, bool) or not isinstance(id_, str | int):
            return error_response(None, RpcError(INVALID_REQUEST, "id must be a string or integer"))
        if not isinstance(method, str) or not isinstance(params, dict):
            wrong = RpcError(INVALID_PARAMS, "method must be a string, and params an object")
            return error_response(id_, wrong)
        try:
            return {"jsonrpc": "2.0", "id": id_, "result": self._result(method, params, client)}
        except RpcError as error:
            return error_response(id_, error)

    def _result(self, method: str, params: dict[str, Any], client: McpClient) -> dict[str, Any]:
        modern = self._is_modern(method, params, client)
        if method == "initialize" and not modern:
            wanted = params.get("protocolVersion")
            client.version = wanted if wanted in HANDSHAKE else HANDSHAKE[-1]
            client.named(params.get("clientInfo"))
            return {
                "protocolVersion": client.version,
                "capabilities": {"tools": {}},
                "serverInfo": self._info,
                "instructions": self._instructions,
            }
        if method == "ping" and not modern:
            return {}
        caching = {"ttlMs": _LIST_MS, "cacheScope": "private"} if modern else {}
        if method == "server/discover" and modern:
            result: dict[str, Any] = {
                "supportedVersions": list(MODERN),
                "capabilities": {"tools": {}},
                "instructions": self._instructions,
                **caching,
            }
        elif method == "tools/list":
            result = {"tools": self._tools(), **caching}
        elif method == "tools/call":
            name, arguments = params.get("name"), params.get("arguments") or {}
            if not isinstance(name, str) or not isinstance(arguments, dict):
                raise RpcError(
                    INVALID_PARAMS, "tools/call needs a name, and arguments as an object"
                )
            result = dict(self._call(name, arguments, client))
        else:
            raise RpcError(METHOD_NOT_FOUND, f"method not found: {method[:80]}")
        if modern:
            result |= {"resultType": "complete", "_meta": {f"{_META}serverInfo": self._info}}
        return result

    @staticmethod
    def _is_modern(method: str, params: dict[str, Any], client: McpClient) -> bool:
        """Return whether a request is of the era without sessions, and note its client."""
        meta = params.get("_meta")
        if not isinstance(meta, dict) or f"{_META}protocolVersion" not in meta:
            return False
        version = meta[f"{_META}protocolVersion"]
        capabilities = meta.get(f"{_META}clientCapabilities")
        if not isinstance(version, str) or not isinstance(capabilities, dict):
            raise RpcError(INVALID_PARAMS, "_meta needs protocolVersion and clientCapabilities")
        if version not in MODERN or method == "initialize":
            raise unsupported(version)
        client.version = version
        client.named(meta.get(f"{_META}clientInfo"))
        return True


def unsupported(version: str) -> RpcError:
    """Return the error for an unknown version of the protocol."""
    data = {"supported": list(MODERN), "requested": version[:40]}
    return RpcError(UNSUPPORTED_VERSION, "unsupported protocol version", data)


def error_response(id_: str | int | None, error: RpcError) -> dict[str, Any]:
    """Return an error as a response."""
    body: dict[str, Any] = {"code": error.code, "message": error.message}
    if error.data is not None:
        body["data"] = error.data
    return {"jsonrpc": "2.0", "id": id_, "error": body}


def parse(data: bytes) -> Any:
    """Return the value of a message; raises `RpcError`."""
    if len(data) > MAX_MESSAGE:
        raise RpcError(INVALID_REQUEST, f"a message has at most {MAX_MESSAGE:,} bytes")
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        raise RpcError(PARSE_ERROR, "the message is not JSON") from None


def encode(response: Mapping[str, Any]) -> bytes:
    """Return a response in one line."""
    return json.dumps(response, separators=(",", ":")).encode()


# ----------------------------------------------------------------------------------------
# The transport over HTTP, without a session on the server and without streams.


class HttpReply(NamedTuple):
    """A response over HTTP."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def serve_http(
    server: McpServer, method: str, headers: Mapping[str, str], body: bytes, key: bytes
) -> HttpReply:
    """Return the response to a request, which the web server has authenticated.

    Args:
        server: The methods.
        method: The method of HTTP.
        headers: By names in lower case.
        body: The message.
        key: Signs the name of a client with a handshake, which comes back with each request.
    """
    refusal = _refusal(method, headers, body)
    if refusal is not None:
        return refusal
    client = McpClient()
    try:
        message = parse(body)
        _check_headers(message, headers)
    except RpcError as error:
        return _reply(error_response(None, error))
    _resume(client, headers.get("mcp-session-id", ""), key)
    response = server.handle(message, client)
    if response is None:
        return HttpReply(202, {}, b"")
    reply = _reply(response)
    if "result" in response and message["method"] == "initialize":
        return reply._replace(headers={**reply.headers, "Mcp-Session-Id": _session(client, key)})
    return reply


def _refusal(method: str, headers: Mapping[str, str], body: bytes) -> HttpReply | None:
    if method != "POST":  # no stream to open, and no session to end
        return HttpReply(405, {"Allow": "POST"}, b"")
    if headers.get("content-type", "").partition(";")[0].strip().lower() != _JSON:
        return HttpReply(415, {}, b"")
    accepted = {one.partition(";")[0].strip() for one in headers.get("accept", "*/*").split(",")}
    if accepted.isdisjoint({_JSON, "application/*", "*/*"}):
        return HttpReply(406, {}, b"")
    return HttpReply(413, {}, b"") if len(body) > MAX_MESSAGE else None


def _reply(response: Mapping[str, Any]) -> HttpReply:
    status = _STATUS.get(response["error"]["code"], 200) if "error" in response else 200
    return HttpReply(status, {"Content-Type": _JSON}, encode(response))


def _check_headers(message: Any, headers: Mapping[str, str]) -> None:
    """Check that the headers of a request of the new era are those of its body."""
    version = headers.get("mcp-protocol-version", _DEFAULT)
    if version not in {*HANDSHAKE, *MODERN}:
        raise unsupported(version)
    if version not in MODERN or not isinstance(message, dict) or "id" not in message:
        return
    params = message.get("params")
    params = params if isinstance(params, dict) else {}
    meta = params.get("_meta")
    meta = meta if isinstance(meta, dict) else {}
    method = message.get("method")
    expected = {"mcp-protocol-version": meta.get(f"{_META}protocolVersion"), "mcp-method": method}
    if isinstance(method, str) and method in _SUBJECTS:
        expected["mcp-name"] = params.get(_SUBJECTS[method])
    for name, value in expected.items():
        if _decoded(headers.get(name)) != value:
            raise RpcError(HEADER_MISMATCH, f"the header {name} is not that of the body")


def _decoded(value: str | None) -> str | None:
    if value is None or not (value.startswith("=?base64?") and value.endswith("?=")):
        return value
    try:
        return base64.b64decode(value[9:-2], validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return None


def _session(client: McpClient, key: bytes) -> str:
    text = base64.urlsafe_b64encode(client.name.encode()).decode()
    return f"{text}.{_sign(text, key)}"


def _resume(client: McpClient, session: str, key: bytes) -> None:
    text, _, signature = session.partition(".")
    if text and hmac.compare_digest(signature.encode(), _sign(text, key).encode()):
        client.name = client_name(base64.urlsafe_b64decode(text).decode(errors="replace"))


def _sign(text: str, key: bytes) -> str:
    return hmac.digest(key, f"session {text}".encode(), "sha256").hex()[:_SIGNATURE]
