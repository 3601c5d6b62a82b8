"""The Model Context Protocol at an installation."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from chalicelib.api.dispatch import RULES, Api, Request
from chalicelib.people.port import Identity
from chalicelib.people.store.members import TableTokens
from conducto_core.api import problems
from conducto_core.api.dispatch import JSON, Response, Service
from conducto_core.api.operation import IDEMPOTENCY_KEY, AnyOperation
from conducto_core.assistants.handlers import (
    client_in,
    inner_request,
    inner_result,
    mcp_server,
    metadata,
)
from conducto_core.assistants.model import CLIENT_HEADER
from conducto_core.assistants.rules.protocol import serve_http
from conducto_core.assistants.rules.tools import ToolError
from conducto_core.assistants.tools import Tools
from conducto_core.record import Record


class _InnerApi:
    """The installation's own API for one caller; implements `conducto_core.assistants.port.Api`."""

    def __init__(self, api: Api, caller: Identity, client: str, request: str) -> None:
        self.client = client
        self._api = api
        self._caller = caller
        self._request = request

    def call(
        self,
        operation: AnyOperation,
        query: Record,
        body: Record | None = None,
        key: str | None = None,
    ) -> Any:
        """Execute an operation as a request of its own, which is checked and audited."""
        asked = inner_request(operation, query, body)
        headers = {"content-type": JSON, CLIENT_HEADER.lower(): self.client}
        if key is not None:
            headers[IDEMPOTENCY_KEY.lower()] = key
        request = Request(asked.params, asked.query, headers, asked.body, self._request)
        response = self._api.call(operation, self._caller, request)
        if response.status == HTTPStatus.SEE_OTHER:
            raise ToolError(f"the response of {operation.name} is too large; ask for less")
        return inner_result(operation, response.status, response.body)


class Mcp:
    """Handles requests of assistants.

    Args:
        api: Executes the operations.
        tokens: Have the key that signs the tokens of dry runs.
        site: Returns the address of the installation.
    """

    def __init__(self, api: Api, tokens: TableTokens, site: Callable[[], str]) -> None:
        self._api = api
        self._tokens = tokens
        self._site = site

    def respond(self, method: str, identity: Identity | None, request: Request) -> Response:
        caller = self._api.current(identity)
        if caller is None or caller.kind != "assistant":
            wrong = problems.wrong_token() if caller is None else problems.no_assistant()
            return Service(rules=RULES).refusal(wrong)
        api = _InnerApi(self._api, caller, client_in(request.headers), request.id)
        key = self._tokens.signing_key()
        server = mcp_server(Tools(api, caller.scopes, key))
        reply = serve_http(server, method, request.headers, request.body, key)
        return Response(reply.status, JSON, reply.body, tuple(reply.headers.items()))

    def metadata(self) -> Response:
        """Return the metadata for clients."""
        return Response(HTTPStatus.OK, JSON, metadata(self._site()))
