"""Requests to linked agents: the cloud asks over the agent's connection, and waits.

The response arrives in other Lambda invocations, through the table. The agent is not trusted: its
response cannot set headers, redirect, or be anything but JSON or a file to save.
"""

import base64
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from secrets import token_hex
from time import gmtime, strftime
from typing import NamedTuple
from urllib.parse import unquote, urlencode

from chalicelib.api.callers import check_decider, is_program
from chalicelib.api.store import TableConnections
from chalicelib.api.transfers import Upload as UploadedBody
from chalicelib.api.transfers import new_key
from chalicelib.errors import Timing
from chalicelib.people.port import Identity
from chalicelib.records import Records
from chalicelib.remote.links import addressed, is_online
from chalicelib.remote.model import AgentKey, AgentRecord
from chalicelib.run.port import Blobs
from conducto_core.api import problems
from conducto_core.api.dispatch import JSON, Headers, Response
from conducto_core.api.operation import AnyOperation, LinkClass
from conducto_core.api.problems import MEDIA_TYPE, ProblemError
from conducto_core.approvals.operations import DECIDE_APPROVAL
from conducto_core.errors import NotFoundError
from conducto_core.remote.model import (
    ASK_SECONDS,
    MAX_FRAME,
    MAX_INLINE,
    Ask,
    AskHeaders,
    Caller,
    Part,
    ResponseHead,
    Stored,
    Upload,
    read_agent_frame,
)
from conducto_core.run.model.requests import Problem

#: Seconds that a request waits while the agent has the maximum number of requests.
TURN_SECONDS = 5.0
#: Maximum seconds that an agent may wait for changes; a client continues with another request.
MAX_WAIT = 5.0
#: Maximum bytes of a stored JSON response: Lambda reads it into memory, and returns at most 6 MB.
MAX_STORED = 5 << 20
#: The first and the longest pause between two looks for the response, in seconds.
_FIRST_PAUSE, _LAST_PAUSE = 0.015, 0.15
_OK = 200
_REDIRECT = 300
_ERROR = 400


@dataclass(frozen=True, slots=True)
class RelayedRequest:
    """A request to an agent.

    Attributes:
        params: Path parameters.
        query: The query without the agent.
        body: The body, or its place in the bucket.
    """

    agent: str
    operation: AnyOperation
    params: Mapping[str, str]
    query: tuple[tuple[str, str], ...]
    headers: Headers
    body: bytes | UploadedBody


class RelayedContent(NamedTuple):
    """Content to save, in the bucket."""

    key: str
    name: str


class Relay:
    """Sends requests to agents."""

    def __init__(
        self, records: Records, timing: Timing, blobs: Blobs, connections: TableConnections
    ) -> None:
        self._records = records
        self._timing = timing
        self._blobs = blobs
        self._connections = connections

    def respond(self, caller: Identity, request: RelayedRequest) -> Response | RelayedContent:
        """Return the response of an agent.

        Raises:
            NotFoundError: The organisation has no such agent.
            RefusedError: A program would decide an approval.
            ProblemError: 422, the operation cannot be relayed; 503, the agent is offline; 429, it
                has too many requests; 504, it did not respond in time; 502, its response is
                invalid.
        """
        if request.operation.link_class is LinkClass.NEVER:
            raise _not_relayed(request.operation)
        if request.operation.name == DECIDE_APPROVAL.name:
            check_decider(self._records, caller, request.params["id"])
        key = AgentKey(caller.org, request.agent)
        agent = self._agent(key)
        slot = self._turn(agent)
        try:
            return self._ask(agent, caller, request)
        finally:
            self._records.relays.release(key, slot)

    def _agent(self, key: AgentKey) -> AgentRecord:
        agent = self._records.agents.find(key)
        if agent is None:
            raise NotFoundError(
                f"{key.org} has no linked agent {key.id!r}; list them with: conducto agents"
            )
        if not is_online(agent, self._timing.clock()):
            raise offline(agent)
        return agent

    def _turn(self, agent: AgentRecord) -> int:
        for _ in self._pauses(TURN_SECONDS):
            now = self._timing.clock()
            slot = self._records.relays.reserve(agent.key, now, now + ASK_SECONDS + TURN_SECONDS)
            if slot is not None:
                return slot
        raise _too_many(agent)

    def _pauses(self, seconds: float) -> Iterator[None]:
        """Yield at growing intervals, for a number of seconds."""
        began, slept, pause = self._timing.clock(), 0.0, _FIRST_PAUSE
        while max(slept, self._timing.clock() - began) < seconds:
            yield
            self._timing.sleep(pause)
            slept += pause
            pause = min(_LAST_PAUSE, pause * 1.3)

    def _ask(
        self, agent: AgentRecord, caller: Identity, request: RelayedRequest
    ) -> Response | RelayedContent:
        key, id_, place = agent.key, token_hex(12), new_key(caller)
        number = self._records.agents.number(key, agent.connection)
        if number is None:  # it has connected again since
            agent = self._agent(key)
            number = self._records.agents.number(key, agent.connection)
        frame = self._frame(number or 1, id_, place, caller, request)
        if not self._connections.send(agent.connection, frame):
            self._records.agents.disconnect(key, agent.connection, self._timing.clock())
            raise offline(agent)
        for _ in self._pauses(ASK_SECONDS):
            found = _complete(self._records.relays.frames(key, id_))
            if found is not None:
                response = self._response(agent, request.operation, caller, found, place)
                return _with_addresses(response, request)
        raise _late(agent)

    def _frame(
        self, number: int, id_: str, place: str, caller: Identity, request: RelayedRequest
    ) -> bytes:
        ask = Ask(
            n=number,
            id=id_,
            caller=Caller(
                user=caller.user,
                program=self._is_program(caller, request.operation),
                assistant=caller.actor.assistant,
            ),
            operation=request.operation.name,
            params=dict(request.params),
            query=urlencode(_bounded(request.query)),
            headers=AskHeaders(
                media_type=request.headers.media_type,
                idempotency_key=request.headers.idempotency_key,
            ),
            upload=Upload(key=place, url=self._blobs.upload_url(place)),
        )
        frame = self._with_body(ask, caller, request.body)
        if len(frame) > MAX_FRAME:
            raise ProblemError(
                Problem(
                    title="request too large",
                    status=414,
                    detail=f"the query of this request is too long to send it to {request.agent}",
                )
            )
        return frame

    def _is_program(self, caller: Identity, operation: AnyOperation) -> bool:
        """Return whether a program requests a change; reads do not depend on it."""
        changes = operation.link_class is not LinkClass.READ
        return changes and is_program(self._records.tokens, self._records.people, caller)

    def _with_body(self, ask: Ask, caller: Identity, body: bytes | UploadedBody) -> bytes:
        """Return the frame with the body, or with a URL of a body that does not fit."""
        if isinstance(body, bytes):
            text = base64.b64encode(body).decode()
            if len(text) <= MAX_FRAME:
                frame = ask.model_copy(update={"b64": text}).model_dump_json().encode()
                if len(frame) <= MAX_FRAME:
                    return frame
            key = new_key(caller)
            self._blobs.put(key, body)
        else:
            key = body.key
        url = self._blobs.download_url(key, filename="body")
        return ask.model_copy(update={"url": url}).model_dump_json().encode()

    def _response(
        self,
        agent: AgentRecord,
        operation: AnyOperation,
        caller: Identity,
        found: Stored | tuple[ResponseHead, bytes],
        place: str,
    ) -> Response | RelayedContent:
        head = found.head if isinstance(found, Stored) else found[0]
        if isinstance(found, Stored) and found.key != place:
            raise _invalid(agent, "it was stored at another place")
        if not isinstance(found, Stored) and len(found[1]) > MAX_INLINE:
            raise _invalid(agent, f"{len(found[1])} bytes in frames, at most {MAX_INLINE}")
        if operation.is_download and head.status < _REDIRECT:
            if not isinstance(found, Stored) and not found[1]:
                return Response(_OK, "text/plain", b"")  # S3 rejects any range of an empty object
            return RelayedContent(self._content(found, caller), _name_in(head))
        if _REDIRECT <= head.status < _ERROR or head.media_type not in {JSON, MEDIA_TYPE}:
            raise _invalid(agent, f"status {head.status}, {head.media_type!r}")
        body = self._stored(agent, place) if isinstance(found, Stored) else found[1]
        return Response(head.status, head.media_type, body)

    def _stored(self, agent: AgentRecord, place: str) -> bytes:
        size = self._blobs.size(place) or 0
        if size > MAX_STORED:
            raise _invalid(agent, f"{size} bytes of JSON, at most {MAX_STORED}")
        return self._blobs.get(place) or b""

    def _content(self, found: Stored | tuple[ResponseHead, bytes], caller: Identity) -> str:
        if isinstance(found, Stored):
            return found.key
        key = new_key(caller)
        self._blobs.put(key, found[1])
        return key


def _with_addresses(
    response: Response | RelayedContent, request: RelayedRequest
) -> Response | RelayedContent:
    """Return a response whose commands can be copied: they have the agent's address."""
    pipeline = request.params.get("id")
    if pipeline is None or isinstance(response, RelayedContent):
        return response
    return replace(response, body=addressed(response.body, request.agent, pipeline))


def _complete(frames: Mapping[int, bytes]) -> Stored | tuple[ResponseHead, bytes] | None:
    """Return a response once all its frames have arrived."""
    read = [read_agent_frame(frames[index]) for index in sorted(frames)]
    if read and isinstance(read[0], Stored):
        return read[0]
    parts = [frame for frame in read if isinstance(frame, Part)]
    if not parts or not parts[-1].last or len(parts) != parts[-1].index + 1:
        return None
    body = b"".join(base64.b64decode(part.b64) for part in parts)
    head = parts[0].head
    return None if head is None else (head, body)


def _bounded(query: tuple[tuple[str, str], ...]) -> list[tuple[str, str]]:
    """Return the query, with a wait that ends before the cloud stops waiting."""
    return [(name, _bounded_wait(value) if name == "wait" else value) for name, value in query]


def _bounded_wait(value: str) -> str:
    try:
        return str(min(float(value), MAX_WAIT))
    except ValueError:
        return value  # the agent rejects it


def _name_in(head: ResponseHead) -> str:
    """Return the file name of a response for a browser; ``file`` if it has none."""
    disposition = dict(head.headers).get("content-disposition", "")
    _, _, quoted = disposition.partition("filename*=UTF-8''")
    return unquote(quoted) or "file"


def offline(agent: AgentRecord) -> ProblemError:
    """Return the problem of an agent that is not connected."""
    since = strftime("%Y-%m-%d %H:%M UTC", gmtime(agent.seen))
    return ProblemError(
        Problem(
            type="about:blank#offline",
            title="agent offline",
            status=503,
            detail=f"{agent.host} is offline since {since}",
            remedy="Start it with: conducto agent start",
        )
    )


def _too_many(agent: AgentRecord) -> ProblemError:
    return ProblemError(
        Problem(
            title="too many requests",
            status=429,
            detail=f"{agent.host} is handling the maximum number of requests",
            remedy="repeat the request",
        ),
        headers=[("retry-after", "1")],
    )


def _late(agent: AgentRecord) -> ProblemError:
    return ProblemError(
        Problem(
            type="about:blank#no-response",
            title="no response",
            status=504,
            detail=f"{agent.host} did not respond within {ASK_SECONDS:.0f} seconds; it may still "
            "execute the request",
            remedy="check whether it completed; if not, repeat it",
        )
    )


def _invalid(agent: AgentRecord, why: str) -> ProblemError:
    return ProblemError(
        Problem(
            title="invalid response",
            status=502,
            detail=f"the response of {agent.host} is not valid: {why}",
            remedy="update Conducto on that machine",
        )
    )


def _not_relayed(operation: AnyOperation) -> ProblemError:
    return problems.ProblemError(
        Problem(
            title="invalid request",
            status=422,
            detail=f"query.agent: {operation.name} is not sent to agents; leave the agent out",
        )
    )
