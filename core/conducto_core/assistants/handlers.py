"""What the servers of both targets share: the check of requests, and the calls of tools inside."""

import json
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from conducto.version import __version__
from conducto_core.api.operation import AnyOperation
from conducto_core.api.problems import ProblemError
from conducto_core.assistants.model import CLIENT_HEADER, MAX_REQUESTS
from conducto_core.assistants.rules.authority import client_name, refusal_of_scopes
from conducto_core.assistants.rules.protocol import McpServer
from conducto_core.assistants.rules.tools import INSTRUCTIONS, ToolError
from conducto_core.assistants.tools import Tools
from conducto_core.installation.names import SCOPES
from conducto_core.record import Record
from conducto_core.run.model.requests import Problem

#: Path of the protocol, of agents and installations.
MCP_PATH = "/mcp"
#: Path of the metadata that tells clients how to authorize themselves (RFC 9728).
METADATA_PATH = f"/.well-known/oauth-protected-resource{MCP_PATH}"
_OK = 200


def client_in(headers: Mapping[str, str]) -> str:
    """Return the name of a request's client; the names of headers are in lower case."""
    return client_name(headers.get(CLIENT_HEADER.lower(), ""))


def check_scopes(scopes: Collection[str], operation: AnyOperation, body: bytes) -> None:
    """Check that the scopes of a token allow a request; raises `ProblemError` (403)."""
    refusal = refusal_of_scopes(scopes, operation, body)
    if refusal is not None:
        raise ProblemError(
            Problem(title="not allowed", status=403, detail=refusal.detail, remedy=refusal.remedy)
        )


def check_pace(count: int) -> None:
    """Check the number of an assistant's requests in this minute; raises `ProblemError` (429)."""
    if count > MAX_REQUESTS:
        raise ProblemError(
            Problem(
                title="too many requests",
                status=429,
                detail=f"an assistant may send {MAX_REQUESTS} requests in a minute",
                remedy="wait a minute; use 'wait' instead of asking again and again",
            )
        )


def mcp_server(tools: Tools) -> McpServer:
    """Return the methods of the protocol for the tools of one token."""
    return McpServer(__version__, INSTRUCTIONS, tools.listed, tools.call)


def metadata(base: str) -> bytes:
    """Return the metadata for clients; a person creates the token, so it names no other server."""
    return json.dumps(
        {
            "resource": f"{base}{MCP_PATH}",
            "bearer_methods_supported": ["header"],
            "scopes_supported": list(SCOPES),
            "resource_documentation": f"{base}/docs/assistants",
        }
    ).encode()


class InnerRequest(NamedTuple):
    """A request of a tool to the server that it runs in.

    Attributes:
        params: Values in the path.
        query: Names and values of the query.
    """

    params: dict[str, str]
    query: tuple[tuple[str, str], ...]
    body: bytes


def inner_request(operation: AnyOperation, query: Record, body: Record | None) -> InnerRequest:
    """Return the parts of a request, as a client would send them."""
    params: dict[str, str] = {}
    values: list[tuple[str, str]] = []
    for name, value in query.model_dump(mode="json", exclude_defaults=True).items():
        if f"{{{name}}}" in operation.path:
            params[name] = value
        else:
            values.append((name, value if isinstance(value, str) else str(value).lower()))
    data = b"" if body is None else body.model_dump_json(exclude_unset=True).encode()
    return InnerRequest(params, tuple(values), data)


def inner_result(operation: AnyOperation, status: int, body: bytes) -> Any:
    """Return the record of a response; raises `ToolError` for a problem."""
    if status == _OK:
        return operation.response.model_validate_json(body)
    raise ToolError(problem_text(Problem.model_validate_json(body)))


def problem_text(problem: Problem) -> str:
    """Return a problem as a sentence, with its remedy."""
    return f"{problem.detail}; {problem.remedy}" if problem.remedy else problem.detail
