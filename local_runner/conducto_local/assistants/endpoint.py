"""The Model Context Protocol at the agent's own address."""

import asyncio
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from conducto_core.api.dispatch import Headers, Match, Response, Service
from conducto_core.api.operation import AnyOperation
from conducto_core.api.problems import ProblemError
from conducto_core.assistants.handlers import inner_request, inner_result, mcp_server, problem_text
from conducto_core.assistants.rules.protocol import HttpReply, serve_http
from conducto_core.assistants.rules.tools import ToolError
from conducto_core.assistants.tools import Tools
from conducto_core.people.model import MemberToken
from conducto_core.record import Record
from conducto_local.assistants.tokens import LocalTokens


class _ServiceApi:
    """The agent's own API for one token; implements `conducto_core.assistants.port.Api`."""

    def __init__(
        self,
        service: Service,
        tokens: LocalTokens,
        assistant: MemberToken,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self.client = ""
        self._service = service
        self._tokens = tokens
        self._assistant = assistant
        self._loop = loop

    def call(
        self,
        operation: AnyOperation,
        query: Record,
        body: Record | None = None,
        key: str | None = None,
    ) -> Any:
        """Execute an operation in the agent's event loop; called in another thread."""
        work = self._respond(operation, query, body, key)
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _respond(
        self, operation: AnyOperation, query: Record, body: Record | None, key: str | None
    ) -> Any:
        request = inner_request(operation, query, body)
        try:
            self._tokens.admit(self._assistant, operation, request.body, self.client)
        except ProblemError as error:
            raise ToolError(problem_text(error.problem)) from error
        match = Match(operation, request.params)
        headers = Headers(idempotency_key=key)
        words = urlencode(request.query)
        response = await self._service.respond(match, words, request.body, headers)
        if not isinstance(response, Response):
            raise ToolError(f"{operation.name} is a download, which no tool uses")
        return inner_result(operation, response.status, response.body)


class McpEndpoint:
    """Handles requests of assistants, whose tokens were checked."""

    def __init__(self, service: Service, tokens: LocalTokens) -> None:
        self._service = service
        self._tokens = tokens

    async def respond(
        self, assistant: MemberToken, method: str, headers: Mapping[str, str], body: bytes
    ) -> HttpReply:
        """Return the response to one request; names of headers are in lower case."""
        loop, key = asyncio.get_running_loop(), self._tokens.key
        api = _ServiceApi(self._service, self._tokens, assistant, loop)
        server = mcp_server(Tools(api, assistant.scopes, key))
        return await asyncio.to_thread(serve_http, server, method, headers, body, key)
