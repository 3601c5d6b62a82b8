"""``conducto mcp``: the Model Context Protocol over standard input and output."""

# ruff: noqa: PLC0415
# Clients start this process for each session: the API is imported with the first call of a tool.

from __future__ import annotations

import os
import secrets
import socket
import sys
import threading
from typing import TYPE_CHECKING, Any

from conducto_cli.app.exit import DONE
from conducto_cli.people.tokens_command import parse_scopes

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Mapping

    from conducto_cli.app.arguments import Parser
    from conducto_cli.target.connection import OpenClient
    from conducto_client import Client
    from conducto_client.transport.port import Body, Reply, Transport
    from conducto_core.api.operation import AnyOperation
    from conducto_core.assistants.rules.protocol import McpServer
    from conducto_core.people.model import CreatedToken
    from conducto_core.record import Record

_DEFAULT = ("read", "control")
#: Days of the token of a session; a new one is made after it.
_DAYS = 8 / 24
#: Maximum number of tools that run at the same time.
_CALLS = 8
#: Seconds that calls have to end after the client has closed its input.
_LEAVING = 5.0
_UNAUTHORIZED = 401


def add_arguments(parser: Parser) -> None:
    parser.add_argument(
        "--allow",
        metavar="SCOPES",
        type=parse_scopes,
        default=_DEFAULT,
        help="what the assistant may do: of read, control, author, use_secrets (default: "
        f"{','.join(_DEFAULT)})",
    )


def run(arguments: argparse.Namespace, open_client: OpenClient) -> int:
    from conducto_core.assistants.handlers import mcp_server
    from conducto_core.assistants.rules.authority import ordered
    from conducto_core.assistants.tools import Tools

    scopes = ordered(arguments.allow)
    api = SessionApi(open_client, scopes)
    try:
        serve(mcp_server(Tools(api, scopes, secrets.token_bytes(32))))
    finally:
        api.close()
    return DONE


class SessionApi:
    """The API with a token of its own; implements `conducto_core.assistants.port.Api`.

    The server checks the scopes of that token, so an assistant that calls the API by itself with it
    gets no further. It is made with the first call, and revoked at the end.
    """

    def __init__(self, open_client: OpenClient, scopes: tuple[str, ...]) -> None:
        self.client = ""
        self._open = open_client
        self._scopes = scopes
        self._token: CreatedToken | None = None
        self._lock = threading.Lock()

    def call(
        self,
        operation: AnyOperation,
        query: Record,
        body: Record | None = None,
        key: str | None = None,
    ) -> Any:
        """Call an operation; makes another token if this one has ended."""
        from conducto_client import ApiError, ClientError
        from conducto_core.assistants.handlers import problem_text
        from conducto_core.assistants.rules.tools import ToolError

        try:
            try:
                return self._call(operation, query, body, key)
            except ApiError as error:
                if error.problem.status != _UNAUTHORIZED:
                    raise
                self._token = None
                return self._call(operation, query, body, key)
        except ApiError as error:
            raise ToolError(problem_text(error.problem)) from error
        except ClientError as error:
            raise ToolError(str(error)) from error

    def _call(
        self, operation: AnyOperation, query: Record, body: Record | None, key: str | None
    ) -> Any:
        with self._client() as client:
            return client.call(operation, query, body, key)

    def _client(self) -> Client:
        """Return a new client, because one belongs to one thread."""
        from conducto_core.assistants.model import CLIENT_HEADER

        with self._lock:
            owner = self._open()
            if self._token is None:
                self._token = self._new_token(owner)
            headers = {
                "Authorization": f"Bearer {self._token.token}",
                CLIENT_HEADER: self.client,
            }
            return owner.through(lambda transport: _WithHeaders(transport, headers))

    def _new_token(self, owner: Client) -> CreatedToken:
        from conducto_core.people.model import NewToken
        from conducto_core.people.operations import CREATE_TOKEN
        from conducto_core.run.model.params import NoParams

        name = f"conducto mcp on {socket.gethostname()}"[:100]
        request = NewToken.model_validate({"name": name, "scopes": self._scopes, "days": _DAYS})
        return owner.call(CREATE_TOKEN, NoParams(), request)

    def close(self) -> None:
        """Revoke the token."""
        from conducto_client import ClientError
        from conducto_core.people.model import TokenParams
        from conducto_core.people.operations import REVOKE_TOKEN

        if self._token is None:
            return
        try:
            with self._open() as owner:
                owner.call(REVOKE_TOKEN, TokenParams(id=self._token.info.id))
        except ClientError:
            return  # it ends by itself


class _WithHeaders:
    """A transport with further headers in each request; implements `conducto_client.Transport`."""

    def __init__(self, transport: Transport, headers: Mapping[str, str]) -> None:
        self._transport = transport
        self._headers = headers
        self.stream = transport.stream
        self.close = transport.close

    def request(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        body: Body | None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        return self._transport.request(
            method, path, query, body, {**(headers or {}), **self._headers}
        )


def serve(server: McpServer) -> None:
    """Read messages until the end of standard input.

    A call of a tool has a thread, so that a slow call does not delay others. Nothing but
    messages reaches standard output: what a library prints goes to standard error.
    """
    from conducto_core.assistants.rules import protocol

    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    lock, slots = threading.Lock(), threading.BoundedSemaphore(_CALLS)
    client = protocol.McpClient()

    def send(response: dict[str, Any] | None) -> None:
        if response is None:
            return
        with lock:
            try:
                out.write(protocol.encode(response) + b"\n")
                out.flush()
            except (OSError, ValueError):
                os._exit(DONE)  # the client has closed its output

    def call(message: Any) -> None:
        try:
            send(server.handle(message, client))
        finally:
            slots.release()

    threads: list[threading.Thread] = []
    for line in _lines(protocol.MAX_MESSAGE):
        try:
            message = protocol.parse(line)
        except protocol.RpcError as error:
            send(protocol.error_response(None, error))
            continue
        if isinstance(message, dict) and message.get("method") == "tools/call":
            slots.acquire()
            thread = threading.Thread(target=call, args=(message,), daemon=True)
            thread.start()
            threads = [one for one in threads if one.is_alive()] + [thread]
        else:
            send(server.handle(message, client))
    for thread in threads:
        thread.join(_LEAVING)


def _lines(maximum: int) -> Iterator[bytes]:
    """Yield the lines of standard input; of one that is too long, one byte too many."""
    while line := sys.stdin.buffer.readline(maximum + 2):
        whole = line
        while not line.endswith(b"\n") and len(line) > maximum + 1:
            line = sys.stdin.buffer.readline(maximum + 2)
        if whole.strip():
            yield whole.strip() if len(whole) <= maximum + 1 else whole[: maximum + 1]
