"""The frames between a linked agent and its cloud, over one outbound WebSocket of the agent.

A frame is a JSON text of at most `MAX_FRAME` bytes with a ``kind``. The agent and the cloud number
their frames of a connection from 1 (``n``), because API Gateway and Lambda handle the messages of a
connection concurrently: the receiver processes frames in the order of their numbers, and drops a
number that it has processed. A frame that is unknown, too large or unnumbered ends the connection
with `VIOLATION`.

The agent sends `Hello` first, and nothing else before `Welcome`. Then:

- `Ask` requests an operation, and `Part` frames or one `Stored` respond to it. They name the id of
  the request, and may use a newer connection than the request did. A request with a known id is not
  executed twice.
- `Summaries` and `Batch` are acknowledged. The agent sends at most one of each (one batch for each
  pipeline) that is not acknowledged, so their order needs no buffer in the cloud.
- `Ping` is acknowledged, too: its acknowledgement shows that the connection works in both
  directions.
- A connection ends after two hours. The agent opens the next one before, with a higher epoch; of
  two connections with the same agent id, the one with the higher epoch is valid. The cloud repeats
  its `Follow` frames after each `Welcome`.
"""

from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from conducto_core.api.operation import LinkClass
from conducto_core.assistants.model import MAX_CLIENT
from conducto_core.debug.terminal import ShellParams, TerminalInput, TerminalOutput
from conducto_core.record import AGENT_PATTERN, Record
from conducto_core.run.model.requests import EventBatch, PipelineSummary

PROTOCOL = 1
#: Maximum bytes of a frame; API Gateway accepts 32 kB.
MAX_FRAME = 32_000
#: Maximum bytes of a response or request body in frames; a larger one is stored at a signed URL.
MAX_INLINE = 96 << 10
#: Bytes of a body in one frame, before base64.
PART_BYTES = 21_000
#: Seconds between pings: API Gateway ends a connection that is idle for ten minutes.
PING_SECONDS = 300.0
#: Seconds after which the agent replaces its connection: API Gateway ends it after two hours.
RENEW_SECONDS = 6600.0
#: Seconds that the cloud waits for a response.
ASK_SECONDS = 20.0
#: Seconds that a sender waits for an acknowledgement before it replaces the connection.
ACK_SECONDS = 30.0
#: Maximum number of requests to one agent at the same time.
MAX_CONCURRENT = 4
#: Tag of pipelines that were launched through the link, also by a program that it started.
LINK_TAG = "conducto/link"
#: Close code for a frame that breaks the protocol.
VIOLATION = 1008

Id = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_-]+$")]
AgentId = Annotated[str, Field(pattern=AGENT_PATTERN)]
_Number = Annotated[int, Field(ge=1)]
_B64 = Annotated[str, Field(max_length=MAX_FRAME, repr=False)]


class LinkPolicy(Record):
    """What a machine lets its cloud do, as its own configuration says.

    Attributes:
        allow: The allowed classes of operations.
        who: ``me``: only the person who linked the machine; ``org``: other members, too, but only
            with the classes ``read`` and ``control``.
    """

    allow: tuple[LinkClass, ...] = (LinkClass.READ, LinkClass.CONTROL)
    who: Literal["me", "org"] = "me"


class Caller(Record):
    """The person who sent a request to the cloud.

    Attributes:
        role: Their role in the organisation.
        program: A program sent it with their token.
        assistant: As that of `conducto_core.run.model.records.Actor`.
    """

    user: str = Field(min_length=1, max_length=320)
    role: str = Field(default="", max_length=40)
    program: bool = False
    assistant: str | None = Field(default=None, max_length=MAX_CLIENT)


class Hello(Record):
    """The first frame of the agent.

    Attributes:
        host: Name of the machine.
        version: Version of Conducto on it.
        epoch: Higher than that of every earlier connection of the agent.
        cursor: The agent's own record of the last acknowledged `Summaries`.
        shells: Ids of its open debug shells; the cloud ends those that it knows besides.
    """

    kind: Literal["hello"] = "hello"
    n: _Number
    protocol: int
    agent: AgentId
    host: str = Field(max_length=255)
    version: str = Field(max_length=80)
    policy: LinkPolicy
    epoch: int = Field(ge=1)
    cursor: int = Field(default=0, ge=0)
    shells: tuple[Id, ...] = Field(default=(), max_length=100)


class Summaries(Record):
    """Pipelines that changed since the last acknowledged frame.

    Attributes:
        cursor: Number of this change; the cloud returns the last one in `Welcome`.
        replace: The cloud first forgets all pipelines of the agent.
        removed: Ids of deleted pipelines.
    """

    kind: Literal["summaries"] = "summaries"
    n: _Number
    cursor: int = Field(ge=1)
    replace: bool = False
    pipelines: tuple[PipelineSummary, ...] = ()
    removed: tuple[str, ...] = ()


class ResponseHead(Record):
    """The status and the headers of a response."""

    status: int = Field(ge=200, le=599)
    media_type: str = Field(max_length=200)
    headers: tuple[tuple[str, str], ...] = Field(default=(), max_length=20)


class Part(Record):
    """A part of a response of at most `MAX_INLINE` bytes.

    Attributes:
        id: Id of the request.
        index: Position of the part, from 0.
        last: There are no more parts.
        head: Only in the first part.
        b64: The bytes in base64.
    """

    kind: Literal["part"] = "part"
    n: _Number
    id: Id
    index: int = Field(ge=0)
    last: bool
    head: ResponseHead | None = None
    b64: _B64 = ""


class Stored(Record):
    """A larger response, which the agent has uploaded.

    Attributes:
        id: Id of the request.
        key: Key of the upload that the request offered.
    """

    kind: Literal["stored"] = "stored"
    n: _Number
    id: Id
    key: str = Field(max_length=1024)
    head: ResponseHead


class Batch(Record):
    """Changes of a followed pipeline, as its event stream sends them."""

    kind: Literal["batch"] = "batch"
    n: _Number
    pipeline: str = Field(max_length=64)
    batch: EventBatch


class ShellOutput(TerminalOutput):
    """Output of a debug shell, or its end.

    Attributes:
        id: Id of the shell.
    """

    kind: Literal["shell"] = "shell"
    n: _Number
    id: Id
    seq: int = Field(ge=0)


class Ping(Record):
    """A sign of life."""

    kind: Literal["ping"] = "ping"
    n: _Number


class Welcome(Record):
    """The first frame of the cloud.

    Attributes:
        protocol: The version of all following frames.
        summaries_cursor: Cursor of the last `Summaries` that the cloud stored; 0 if there is none.
        org: Organisation of the agent.
        user: The person who linked the agent.
    """

    kind: Literal["welcome"] = "welcome"
    n: _Number
    protocol: int
    summaries_cursor: int = Field(default=0, ge=0)
    org: str
    user: str


class Upload(Record):
    """The place for a response that is larger than `MAX_INLINE`.

    Attributes:
        url: URL for one PUT, signed.
    """

    key: str = Field(max_length=1024)
    url: str = Field(max_length=8192, repr=False)


class AskHeaders(Record):
    """The headers of a request that the API uses."""

    media_type: str | None = Field(default=None, max_length=200)
    range: str | None = Field(default=None, max_length=200)
    idempotency_key: str | None = Field(default=None, max_length=200)


class Ask(Record):
    """A request for an operation.

    Attributes:
        id: Id of the request, the same when it is repeated.
        operation: Name of the operation.
        params: The values in its path.
        query: The query string.
        b64: The body in base64.
        url: Signed URL for a GET of a body that is larger than `PART_BYTES`; replaces ``b64``.
        upload: The place for a large response.
    """

    kind: Literal["ask"] = "ask"
    n: _Number
    id: Id
    caller: Caller
    operation: str = Field(max_length=80)
    params: dict[str, str] = {}
    query: str = ""
    headers: AskHeaders = AskHeaders()
    b64: _B64 = ""
    url: str | None = Field(default=None, max_length=8192, repr=False)
    upload: Upload | None = None


class Follow(Record):
    """Start or stop sending the changes of a pipeline.

    For a pipeline that is followed already, the agent starts again at a lower cursor, and ignores
    a higher one: receivers ignore changes that they have.

    Attributes:
        cursor: Number of the last known change.
        stop: Nobody follows the pipeline any more.
    """

    kind: Literal["follow"] = "follow"
    n: _Number
    caller: Caller
    pipeline: str = Field(min_length=1, max_length=64)
    cursor: int = Field(default=0, ge=0)
    stop: bool = False


class Ack(Record):
    """The cloud has stored or passed on a frame.

    Attributes:
        of: Number of the agent's frame on this connection.
    """

    kind: Literal["ack"] = "ack"
    n: _Number
    of: _Number


class ShellInput(TerminalInput):
    """Input for a debug shell, or a note about its terminal.

    Attributes:
        id: Id of the shell; the cloud chooses it in the frame that opens it.
        open: Only in the first frame: the ticket, and the size of the terminal.
        close: The client has disconnected; the shell ends at once, whatever ``seq`` is.
    """

    kind: Literal["shell"] = "shell"
    n: _Number
    id: Id
    seq: int = Field(ge=0)
    caller: Caller
    open: ShellParams | None = None
    close: bool = False


class Closing(Record):
    """The cloud ends the connection.

    Attributes:
        reason: ``superseded``: a connection with a higher epoch is valid. ``revoked``: the token is
            not valid any more. ``unsupported``: the agent's version of the protocol is too old or
            too new. ``violation``: a frame was not valid.
    """

    kind: Literal["closing"] = "closing"
    n: _Number
    reason: Literal["superseded", "revoked", "unsupported", "violation"]
    detail: str = Field(default="", max_length=1000)


AgentFrame = Annotated[
    Hello | Summaries | Part | Stored | Batch | ShellOutput | Ping, Field(discriminator="kind")
]
CloudFrame = Annotated[
    Welcome | Ask | Follow | Ack | ShellInput | Closing, Field(discriminator="kind")
]
_AGENT_FRAMES: TypeAdapter[AgentFrame] = TypeAdapter(AgentFrame)
_CLOUD_FRAMES: TypeAdapter[CloudFrame] = TypeAdapter(CloudFrame)


def read_agent_frame(text: str | bytes) -> AgentFrame:
    """Return a frame of an agent; raises `ValueError` if it breaks the protocol."""
    return _AGENT_FRAMES.validate_json(_checked(text))


def read_cloud_frame(text: str | bytes) -> CloudFrame:
    """Return a frame of a cloud; raises `ValueError` if it breaks the protocol."""
    return _CLOUD_FRAMES.validate_json(_checked(text))


def _checked(text: str | bytes) -> bytes:
    data = text.encode() if isinstance(text, str) else text
    if len(data) > MAX_FRAME:
        raise ValueError(f"a frame has {len(data)} bytes; at most {MAX_FRAME} are allowed")
    return data


# ----------------------------------------------------------------------------------------
# The linked agents of an organisation, as its members see them.


class LinkedAgent(Record):
    """An agent that is linked to the installation.

    Attributes:
        host: The name of its machine.
        user: The member who linked it.
        version: Version of Conducto on the machine.
        allow: Classes of operations that the machine allows
            (`conducto_core.api.operation.LinkClass`).
        who: The people that it allows them to: only ``user``, or also other members (reading and
            control).
        online: Whether it is connected.
        linked: When it connected first, in seconds since the epoch.
        seen: When it sent its last message.
    """

    id: str
    host: str
    user: str
    version: str
    allow: tuple[str, ...]
    who: Literal["me", "org"]
    online: bool
    linked: float
    seen: float


class LinkedAgentList(Record):
    """Linked agents, by host and id."""

    agents: tuple[LinkedAgent, ...]


class LinkedAgentParams(Record):
    """The id of a linked agent."""

    id: str = Field(min_length=1, max_length=64)


class AgentForgotten(Record):
    """An agent that was removed from the lists; it is listed again if it connects."""

    id: str
