"""Pipelines and secrets in memory."""

import asyncio
import base64
import re
import threading
import time
from collections.abc import AsyncIterator, Hashable, Iterable, Iterator, Mapping
from typing import Any

from tests.fakes.data import MemoryData, download_of
from tests.fakes.pipeline_state import (
    PipelineState,
    is_asked_for,
    next_attempts,
    ordered,
    with_attempts,
)
from tests.fakes.schedules import memory_operations

from conducto.integrations.http import DeliveryError
from conducto_core.api.downloads import ByteRange, Download
from conducto_core.api.pipelines import Pipelines
from conducto_core.api.serve import serves
from conducto_core.approvals import operations as approvals_operations
from conducto_core.approvals.model import DecideApproval
from conducto_core.billing import operations as billing_operations
from conducto_core.billing.handlers import cost_of, is_requested, usage_of
from conducto_core.billing.model import CostParams, PipelineCost, Usage, UsageParams
from conducto_core.cache.handlers import has_text
from conducto_core.cache.model import CacheEntry
from conducto_core.command.model import Resources, ResourcesParams
from conducto_core.command.output import RECORD, LineTime, packed, part_of, times_within
from conducto_core.data import operations as data_operations
from conducto_core.debug import operations as debug_operations
from conducto_core.debug.model import DebugPlan, DebugRequest
from conducto_core.errors import NotFoundError, RefusedError, invalid, no_image, no_node
from conducto_core.installation.model import GcReport, GcRequest
from conducto_core.logs import operations as logs_operations
from conducto_core.logs.handlers import CommandList, merged_page
from conducto_core.logs.lines import outline, with_tail
from conducto_core.logs.model import MergedPage, MergedPageParams, MergedStream
from conducto_core.logs.rules import OutputCommand, commands_of
from conducto_core.notifications.model import NotificationRecord, NotificationRule
from conducto_core.partitions.rules import PartitionFacts
from conducto_core.programs.model import ContinuePlan, ContinueRequest
from conducto_core.programs.relaunch import launch_request
from conducto_core.programs.rules.comparison import ExecFacts, RunFacts
from conducto_core.remote import operations as remote_operations
from conducto_core.results.model import OutputParams, OutputStream
from conducto_core.run import handlers as listing
from conducto_core.run import operations as run_operations
from conducto_core.run.handlers import LETTERS, SKIPPED, resolve_id
from conducto_core.run.model.params import (
    OTHER,
    ChangedDataParams,
    ImageLogParams,
    ListParams,
    ListUserDataParams,
    LogFileParams,
    LogLinesParams,
    LogOutlineParams,
    LogParams,
    LogSearchParams,
    NodeParams,
    PipelineParams,
    StatesParams,
    TreeParams,
    UserDataParams,
)
from conducto_core.run.model.records import AttemptRecord, ImageRecord, Lifecycle, PipelineRecord
from conducto_core.run.model.requests import (
    STARTS,
    WHOLE,
    Action,
    AgentStatus,
    ControlRequest,
    ControlResult,
    EventBatch,
    LaunchRequest,
    LogChunk,
    NodeStates,
    NodeView,
    PipelineSummary,
    TreePage,
)
from conducto_core.run.model.responses import (
    ApprovalList,
    AskedApproval,
    AttemptList,
    ChangedData,
    DataEntry,
    DataList,
    Deleted,
    DeletedPipeline,
    ImageLog,
    LogLines,
    LogMatch,
    LogMatches,
    LogOutline,
    NodeDetail,
    PipelineList,
)
from conducto_core.run.model.states import (
    FINISHED,
    IN_FLIGHT,
    STATE_OF_CAUSE,
    Cause,
    NodeType,
    State,
)
from conducto_core.secrets import handlers as answers
from conducto_core.secrets import operations as secrets_operations
from conducto_core.secrets.model import DeleteSecrets, PutSecrets, SecretList
from conducto_core.secrets.port import SecretName, StoredSecret, check, check_total
from conducto_core.test_results.model import Quarantine
from conducto_core.tree.rules.resolve import resolve


class MemoryQuarantines:
    """A `conducto_core.test_results.handlers.QuarantineStore` for tests."""

    def __init__(self) -> None:
        self._known: dict[str, Quarantine] = {}

    def all(self) -> list[Quarantine]:
        return list(self._known.values())

    def put(self, quarantine: Quarantine) -> None:
        self._known[quarantine.name] = quarantine

    def delete(self, name: str) -> bool:
        return self._known.pop(name, None) is not None


class MemoryPartitions:
    """A `conducto_core.partitions.handlers.PartitionStore` for tests."""

    def __init__(self) -> None:
        self._known: dict[str, bytes] = {}

    def read(self, name: str) -> bytes | None:
        return self._known.get(name)

    def write(self, name: str, data: bytes) -> None:
        self._known[name] = data


class MemoryRules:
    """A `conducto_core.notifications.handlers.RuleStore` for tests."""

    def __init__(self) -> None:
        self._rules: dict[str, NotificationRule] = {}

    def all(self) -> list[NotificationRule]:
        """Return the rules, by name."""
        return [rule for _, rule in sorted(self._rules.items())]

    def put(self, rule: NotificationRule) -> None:
        """Store a rule, replacing one of the same name."""
        self._rules[rule.name] = rule

    def delete(self, name: str) -> bool:
        """Delete a rule; return whether there was one."""
        return self._rules.pop(name, None) is not None


class MemorySecrets:
    """A `conducto_core.secrets.port.SecretStore` for tests."""

    def __init__(self) -> None:
        self._secrets: dict[SecretName, StoredSecret] = {}
        self._version = 0

    def version(self) -> Hashable:
        """Return the number of changes so far."""
        return self._version

    def read(self) -> dict[SecretName, StoredSecret]:
        """Return all secrets."""
        return dict(self._secrets)

    def put(self, secrets: Iterable[StoredSecret]) -> None:
        """Store secrets, replacing those of the same name, all or nothing."""
        new = {secret.name: secret for secret in secrets}
        check(new.values())
        check_total({**self._secrets, **new}.values())
        self._secrets.update(new)
        self._version += 1

    def delete(self, names: Iterable[SecretName]) -> tuple[SecretName, ...]:
        """Delete secrets; return those that existed."""
        removed = tuple(name for name in dict.fromkeys(names) if name in self._secrets)
        for name in removed:
            del self._secrets[name]
        self._version += len(removed)
        return removed

    def location(self) -> str:
        """Return the place of the values."""
        return "in memory"


def lines_of(data: bytes, query: LogLinesParams, *, complete: bool) -> LogLines:
    """Return the requested lines."""
    lines = [line + b"\n" for line in data.split(b"\n")]
    lines[-1] = lines[-1][:-1]
    if not lines[-1]:
        lines.pop()
    first = max(0, len(lines) + query.first) if query.first < 0 else query.first
    taken = lines[first : first + query.count]
    is_there = first <= data.count(b"\n")
    return LogLines(
        first=first,
        lines=tuple(line.removesuffix(b"\n").decode(errors="replace") for line in taken),
        offset=sum(map(len, lines[:first])) if is_there else None,
        total=len(lines),
        size=len(data),
        complete=complete,
    )


def matches_in(data: bytes, query: LogSearchParams, *, complete: bool) -> LogMatches:
    """Return the lines that match.

    Raises:
        RefusedError: the pattern is invalid.
    """
    try:
        pattern = re.compile(
            query.text if query.regex else re.escape(query.text),
            re.IGNORECASE if query.ignore_case else 0,
        )
    except re.error as error:
        message = f"text={query.text!r} is not a regular expression: {error}"
        raise RefusedError(message) from error
    found: list[LogMatch] = []
    offset, following = 0, None
    for number, line in enumerate(data.split(b"\n")):
        text = line.decode(errors="replace")
        match = pattern.search(text)
        if match is not None and offset >= query.offset:
            if len(found) == query.limit:
                following = offset
                break
            found.append(
                LogMatch(
                    line=number, offset=offset, text=text, start=match.start(), end=match.end()
                )
            )
        offset += len(line) + 1
    return LogMatches(matches=tuple(found), next=following, size=len(data), complete=complete)


#: Seconds between two reads of an output that a client follows.
_LOOK_EVERY = 0.01
_IN_FLIGHT_OR_PENDING = IN_FLIGHT | {State.PENDING}


#: Changes of the record by an action on the whole pipeline.
_WHOLE_PIPELINE: Mapping[Action, Mapping[str, object]] = {
    Action.RUN: {"armed": True, "lifecycle": Lifecycle.ACTIVE},
    Action.PAUSE: {"armed": False},
    Action.CANCEL: {"armed": False},
    Action.SLEEP: {"armed": False, "lifecycle": Lifecycle.SLEEPING},
    Action.WAKE: {"lifecycle": Lifecycle.ACTIVE},
    Action.ARCHIVE: {"armed": False, "lifecycle": Lifecycle.ARCHIVED},
}


class MemoryEntries:
    """Entries of a cache in memory."""

    def __init__(self) -> None:
        self.kept: dict[str, CacheEntry] = {}

    def list_used(self, text: str, limit: int) -> list[CacheEntry]:
        found = [entry for entry in self.kept.values() if has_text(entry, text)]
        found.sort(key=lambda entry: -entry.used)
        return found if limit < 0 else found[:limit]

    def with_id(self, prefix: str) -> list[CacheEntry]:
        return [entry for key, entry in self.kept.items() if key.startswith(prefix)]

    def delete(self, key: str) -> None:
        self.kept.pop(key, None)


class MemoryReader:
    """A `conducto_core.logs.rules.OutputReader` of a fake pipeline."""

    map = staticmethod(map)

    def __init__(self, pipeline: PipelineState) -> None:
        self._pipeline = pipeline

    def size(self, command: OutputCommand, stream: MergedStream) -> int:
        return len(self._pipeline.output.get((command.path, command.attempt, stream), b""))

    def read(self, command: OutputCommand, stream: MergedStream, offset: int, count: int) -> bytes:
        data = self._pipeline.output.get((command.path, command.attempt, stream), b"")
        return data[offset : offset + count]

    def times(
        self, command: OutputCommand, stream: MergedStream, start: int, end: int
    ) -> tuple[LineTime, ...]:
        records = self._pipeline.times.get((command.path, command.attempt, stream), [])
        return part_of(records, start, end)


class MemoryPipelines(Pipelines):
    """Pipelines in memory.

    Attributes:
        actions: ``(pipeline id, request)`` of every accepted action.
        shells: ``(pipeline id, request)`` of every planned debug shell.
        secret_store: The secrets that `put_secrets` stored.
        app: The address of the web app; None if there is none.
    """

    def __init__(self) -> None:
        self.actions: list[tuple[str, ControlRequest]] = []
        self.launches: list[LaunchRequest] = []
        self.approvals: tuple[AskedApproval, ...] = ()
        self._keys: dict[str | None, str] = {}
        self.shells: list[tuple[str, DebugRequest]] = []
        self.secret_store = MemorySecrets()
        self.rules = MemoryRules()
        self.kept_quarantines = MemoryQuarantines()
        self.kept_partitions = MemoryPartitions()
        self._test_histories: dict[str, bytes] = {}
        self.entries = MemoryEntries()
        self.messages: list[NotificationRecord] = []
        self.warnings: tuple[str, ...] = ()
        self.app: str | None = None
        self._pipelines: dict[str, PipelineState] = {}
        self._user_data = MemoryData()
        self._lock = threading.RLock()
        self.schedules = memory_operations(self)

    def cache_entries(self) -> MemoryEntries:
        """Return the entries of the cache."""
        return self.entries

    def rule_store(self) -> MemoryRules:
        """Return the rules that send notifications."""
        return self.rules

    async def deliver_now(self, message: NotificationRecord) -> DeliveryError | None:
        """Keep a message; one for "#gone" is refused."""
        if message.arguments.get("recipient") == "#gone":
            return DeliveryError("Slack rejected the message for #gone: channel_not_found")
        self.messages.append(message)
        return None

    def add(
        self, pipeline_id: str, nodes: Iterable[NodeView], record: PipelineRecord | None = None
    ) -> PipelineSummary:
        """Add a pipeline; ``nodes`` has the root first and parents before children."""
        given = PipelineRecord(id=pipeline_id, title=pipeline_id) if record is None else record
        pipeline = PipelineState(given, {node.path: node for node in nodes})
        for node in list(pipeline.nodes.values()):
            if node.type is not NodeType.EXEC:
                counted = node.model_copy(update={"counts": pipeline.counts(node.path)})
                pipeline.nodes[node.path] = counted
        with self._lock:
            self._pipelines[pipeline_id] = pipeline
        return pipeline.summary()

    def change(
        self,
        pipeline_id: str,
        path: str,
        state: State,
        *,
        cause: Cause | None = None,
        exit_code: int | None = None,
        **fields: Any,
    ) -> None:
        """Set the state of a node, and update its groups.

        ``running`` starts an attempt, a finished state ends it; ``fields`` are set on the attempt.
        """
        with self._lock:
            pipeline = self._find(pipeline_id)
            node = _node(pipeline, path)
            fields = {"cause": cause, "exit_code": exit_code, **fields}
            if state in FINISHED and node.attempts:
                fields["output_bytes"] = pipeline.output_bytes(path, node.attempts[-1].number)
            attempts = next_attempts(node, state, fields)
            pipeline.publish(
                node.model_copy(update={"state": state, "cause": cause, "attempts": attempts})
            )
            pipeline.roll_up(path)
        self._ring(pipeline)

    def finish(self, pipeline_id: str, path: str, cause: Cause | None = None) -> None:
        """Run and end a node, with an exit code of 0 or 1."""
        self.change(pipeline_id, path, State.RUNNING)
        state = STATE_OF_CAUSE[cause]
        self.change(pipeline_id, path, state, cause=cause, exit_code=0 if cause is None else 1)

    def write(
        self,
        pipeline_id: str,
        path: str,
        data: bytes,
        *,
        attempt: int = 1,
        stream: str = "stdout",
        at: float | None = None,
    ) -> None:
        """Append to the output of an attempt; ``at`` is the time at which it was read."""
        with self._lock:
            pipeline = self._find(pipeline_id)
            key = (path, attempt, stream)
            before = pipeline.output.get(key, b"")
            if at is not None:
                pipeline.times.setdefault(key, []).append((len(before), at))
            pipeline.output[key] = before + data

    def set_resources(
        self, pipeline_id: str, path: str, resources: Resources, *, attempt: int = 1
    ) -> None:
        """Set the resource usage of an attempt."""
        with self._lock:
            self._find(pipeline_id).resources[path, attempt] = resources

    def set_image(self, pipeline_id: str, image: ImageRecord, log: str = "") -> None:
        """Set an image, and the log of its build."""
        with self._lock:
            pipeline = self._find(pipeline_id)
            pipeline.images[image.name] = image
            pipeline.image_logs[image.name] = log
        self._ring(pipeline)

    def readers(self, pipeline_id: str) -> int:
        """Return the number of current readers of the pipeline's events."""
        return len(self._find(pipeline_id).readers)

    def wait_for_readers(self, pipeline_id: str, count: int, seconds: float = 5.0) -> bool:
        """Wait until the pipeline's events have ``count`` readers; return False after a timeout."""
        deadline = time.monotonic() + seconds
        while self.readers(pipeline_id) != count:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.005)
        return True

    @serves(run_operations.LAUNCH)
    async def launch(
        self, request: LaunchRequest, key: str | None = None, *, repeated: bool = False
    ) -> PipelineSummary:
        """Add a pipeline with the ids ``p1``, ``p2`` and so on."""
        if repeated and key in self._keys:
            return await self.get_pipeline(PipelineParams(id=self._keys[key]))
        nodes = list(_nodes_of(request.tree))
        if not nodes:
            raise invalid(None, "the tree has no nodes")
        self.launches.append(request)
        self._keys[key] = f"p{len(self._pipelines) + 1}"
        record = PipelineRecord(
            id=f"p{len(self._pipelines) + 1}",
            title="" if request.title is None else request.title,
            doc=request.doc,
            tags=request.tags,
            owner=request.owner,
            retention=request.retention,
            engine=request.engine,
            armed=request.run,
            run_at=request.run_at,
            program=request.program,
            created=time.time(),
        )
        return self.add(record.id, nodes, record)

    @serves(run_operations.LIST)
    async def list_pipelines(self, query: ListParams) -> PipelineList:
        """Return the newest pipelines."""
        with self._lock:
            return listing.page((p.summary() for p in reversed(self._pipelines.values())), query)

    @serves(run_operations.GET)
    async def get_pipeline(self, params: PipelineParams) -> PipelineSummary:
        """Return one pipeline."""
        with self._lock:
            return self._find(params.id).summary()

    @serves(run_operations.DELETE)
    async def delete_pipeline(self, params: PipelineParams) -> DeletedPipeline:
        """Delete a pipeline."""
        with self._lock:
            pipeline = self._find(params.id)
            if not pipeline.summary().settled:
                raise RefusedError(
                    f"{pipeline.record.id}: commands run, or it will start by itself"
                )
            del self._pipelines[pipeline.record.id]
            return DeletedPipeline(id=pipeline.record.id)

    async def stored_launch(self, pipeline_id: str) -> LaunchRequest:
        """Return the launch request of a pipeline; it is not armed."""
        with self._lock:
            record = self._find(pipeline_id).record
        made = int(record.id.removeprefix("p")) - 1
        return launch_request(record, self.launches[made].tree)

    @serves(run_operations.TREE)
    async def get_tree(self, query: TreeParams) -> TreePage:
        """Return nodes of a subtree, down to a depth, or those that a search finds."""
        with self._lock:
            pipeline = self._find(query.id)
            _node(pipeline, query.root)
            nodes = pipeline.below(query.root)
            if query.after is not None:
                paths = [node.path for node in nodes]
                nodes = nodes[paths.index(_node(pipeline, query.after).path) + 1 :]
            asked_for = [node for node in nodes if is_asked_for(node, query)]
            page = asked_for[: query.maximum]
            following = page[-1].path if len(asked_for) > len(page) else None
            shown = tuple(with_attempts(pipeline.numbered(node), query) for node in page)
            if query.tails:
                shown = tuple(with_tail(node, pipeline.end_of_output) for node in shown)
            return TreePage(seq=len(pipeline.changes), nodes=shown, next=following)

    @serves(run_operations.STATES)
    async def get_states(self, query: StatesParams) -> NodeStates:
        """Return the state of each Exec of a subtree; skipped groups are ignored."""
        with self._lock:
            pipeline = self._find(query.id)
            _node(pipeline, query.root)
            execs = [node for node in pipeline.below(query.root) if node.type is NodeType.EXEC]
            start = len(query.root.rstrip("/")) + 1
            return NodeStates(
                seq=len(pipeline.changes),
                states="".join(SKIPPED if one.skipped else LETTERS[one.state] for one in execs),
                names=tuple(one.path[start:] for one in execs) if query.names else (),
            )

    @serves(run_operations.NODE)
    async def get_node(self, params: NodeParams) -> NodeDetail:
        """Return a node without its parameters, which a `NodeView` does not have."""
        with self._lock:
            pipeline = self._find(params.id)
            return NodeDetail(node=pipeline.numbered(_node(pipeline, params.path)))

    @serves(run_operations.ATTEMPTS)
    async def list_attempts(self, params: NodeParams) -> AttemptList:
        """Return all attempts of a node."""
        with self._lock:
            return AttemptList(attempts=_node(self._find(params.id), params.path).attempts)

    @serves(logs_operations.LOG)
    async def read_log(self, query: LogParams) -> LogChunk:
        """Return a part of an output stream."""
        deadline = time.monotonic() + query.wait
        while True:
            data, complete = self._output(query)
            start = _start(query.offset, len(data))
            chunk = data[start : start + query.limit]
            if chunk or complete or time.monotonic() >= deadline:
                return LogChunk(
                    data=base64.b64encode(chunk).decode(),
                    offset=start,
                    size=len(data),
                    complete=complete,
                    times=self._times(query, start, start + len(chunk)),
                    other_size=self._other_size(query),
                )
            await asyncio.sleep(_LOOK_EVERY)

    def _other_size(self, query: LogParams) -> int:
        return len(self._output(query.model_copy(update={"stream": OTHER[query.stream]}))[0])

    def _times(self, query: LogParams, start: int, end: int) -> tuple[LineTime, ...]:
        with self._lock:
            pipeline = self._find(query.id)
            attempts = _node(pipeline, query.path).attempts
            number = query.attempt or (attempts[-1].number if attempts else 0)
            data = packed(pipeline.times.get((query.path, number, query.stream), []))
        size = RECORD.size
        if not query.times or not data:
            return ()
        return times_within(
            lambda count, first: data[first * size : (first + count) * size],
            len(data) // size,
            start,
            end,
        )

    @serves(logs_operations.LOG_LINES)
    async def read_log_lines(self, query: LogLinesParams) -> LogLines:
        """Return some lines; the byte limit is ignored."""
        data, complete = self._output(query)
        return lines_of(data, query, complete=complete)

    @serves(logs_operations.LOG_SEARCH)
    async def search_log(self, query: LogSearchParams) -> LogMatches:
        """Return lines that match; only the limit on matches applies."""
        data, complete = self._output(query)
        return matches_in(data, query, complete=complete)

    @serves(logs_operations.LOG_OUTLINE)
    async def outline_log(self, query: LogOutlineParams) -> LogOutline:
        """Return the outline of an output stream."""
        data, complete = self._output(query)
        times = LogParams(**query.model_dump(exclude={"offset"}), times=True)
        return outline(
            lambda count, at: data[at : at + count],
            lambda start, end: self._times(times, start, end),
            len(data),
            query.offset,
            complete=complete,
        )

    @serves(logs_operations.MERGED)
    async def read_output(self, query: MergedPageParams) -> MergedPage:
        """Return the output of several commands by time."""
        with self._lock:
            pipeline = self._find(query.id)
            _node(pipeline, query.root)
            attempts = [one for node in pipeline.below("/") for one in node.attempts]
        # Tests also write after the end.
        commands = [one._replace(size=None) for one in commands_of(attempts, query)]
        listed = CommandList(0, time.time(), commands, 0)
        return await merged_page(query, listed, MemoryReader(pipeline))

    @serves(logs_operations.LOG_FILE)
    async def download_log(self, query: LogFileParams, span: ByteRange | None = None) -> Download:
        """Return the current contents of an output stream."""
        name = query.path.rpartition("/")[2] or "root"
        return download_of(self._output(query)[0], f"{name}.{query.stream}.txt", span)

    def _output(self, query: LogFileParams) -> tuple[bytes, bool]:
        with self._lock:
            pipeline = self._find(query.id)
            record = _attempt(_node(pipeline, query.path), query.attempt)
            data = pipeline.output.get((query.path, record.number, query.stream), b"")
        return data, record.state not in _IN_FLIGHT_OR_PENDING

    @serves(run_operations.RESOURCES)
    async def get_resources(self, query: ResourcesParams) -> Resources:
        """Return the usage from `set_resources`."""
        with self._lock:
            pipeline = self._find(query.id)
            node = _node(pipeline, query.path)
            if not node.attempts:
                return Resources()
            number = _attempt(node, query.attempt).number
            return pipeline.resources.get((query.path, number), Resources())

    def read_test_history(self, name: str) -> bytes | None:
        return self._test_histories.get(name)

    def write_test_history(self, name: str, data: bytes) -> None:
        self._test_histories[name] = data

    async def partition_facts(self, pipeline_id: str) -> PartitionFacts:
        raise NotFoundError(f"{pipeline_id}: the fake has no partitions")

    def partition_store(self) -> MemoryPartitions:
        return self.kept_partitions

    def quarantine_store(self) -> MemoryQuarantines:
        return self.kept_quarantines

    def caller_name(self) -> str:
        return "ada"

    def time_now(self) -> float:
        return time.time()

    async def attempt_output(
        self, query: OutputParams, stream: OutputStream
    ) -> tuple[int | None, bytes]:
        """Return the bytes that `write` has written to the stream."""
        with self._lock:
            pipeline = self._find(query.id)
            node = _node(pipeline, query.path)
            if not node.attempts:
                return None, b""
            number = _attempt(node, query.attempt).number
            return number, pipeline.output.get((query.path, number, stream), b"")

    async def changed_files(self, before: str, now: str) -> list[str]:
        """Return none: no manifests are known."""
        del before, now
        return []

    def node_attempts(self, pipeline_id: str, path: str) -> Iterator[AttemptRecord]:
        """Yield the attempts of a node."""
        return (each for each in self.stored_attempts(pipeline_id) if each.path == path)

    async def run_facts(self, pipeline_id: str) -> RunFacts:
        """Return the states and commands of the Execs."""
        with self._lock:
            pipeline = self._find(pipeline_id)
            execs = {
                path: ExecFacts(node.state, node.command or "", node.image or "")
                for path, node in pipeline.nodes.items()
                if node.type is NodeType.EXEC
            }
            return RunFacts(pipeline.record.id, execs)

    def stored_attempts(self, pipeline_id: str) -> Iterator[AttemptRecord]:
        """Yield the attempts of all nodes."""
        with self._lock:
            nodes = list(self._find(pipeline_id).nodes.values())
        return (attempt for node in nodes for attempt in node.attempts)

    @serves(run_operations.IMAGE_LOG)
    async def read_image_log(self, query: ImageLogParams) -> ImageLog:
        """Return a part of the log from `set_image`; it never splits a character."""
        with self._lock:
            logs = self._find(query.id).image_logs
            if query.image not in logs:
                raise no_image(query.id, query.image, logs)
            data = logs[query.image].encode()
        start = _start(query.offset, len(data))
        chunk = data[start : start + query.limit]
        return ImageLog(
            text=chunk.decode(errors="replace"),
            offset=start,
            next=start + len(chunk),
            size=len(data),
            complete=True,
        )

    @serves(data_operations.DATA, data_operations.USER_DATA)
    async def list_data(self, query: ListUserDataParams) -> DataList:
        """Return entries of a directory of data."""
        return self._data(query.pipeline).entries(query.name, query.after, query.limit)

    @serves(data_operations.CHANGED_DATA)
    async def list_changed_data(self, query: ChangedDataParams) -> ChangedData:
        """Return files of data that were written within a time range."""
        return self._data(query.id).changed(query.since, query.until, query.limit)

    @serves(data_operations.DATA_FILE, data_operations.USER_DATA_FILE)
    async def read_data(self, params: UserDataParams, span: ByteRange | None = None) -> Download:
        """Return a data file, or a part of it."""
        return self._data(params.pipeline).read(params.name, span)

    @serves(data_operations.PUT_DATA, data_operations.PUT_USER_DATA)
    async def write_data(self, params: UserDataParams, content: AsyncIterator[bytes]) -> DataEntry:
        """Write a data file."""
        whole = b"".join([chunk async for chunk in content])
        return self._data(params.pipeline).write(params.name, whole)

    @serves(data_operations.DELETE_DATA, data_operations.DELETE_USER_DATA)
    async def delete_data(self, params: UserDataParams) -> Deleted:
        """Delete data."""
        return self._data(params.pipeline).delete(params.name)

    def _data(self, pipeline_id: str | None) -> MemoryData:
        return self._user_data if pipeline_id is None else self._find(pipeline_id).data

    @serves(approvals_operations.APPROVALS)
    async def list_approvals(self) -> ApprovalList:
        """Return `self.approvals`."""
        return ApprovalList(approvals=self.approvals)

    @serves(approvals_operations.DECIDE_APPROVAL)
    async def decide_approval(
        self, params: PipelineParams, request: DecideApproval
    ) -> AttemptRecord:
        """Refuse: the trees of this fake have no approvals."""
        raise RefusedError(f"{request.path}: is not an approval of {params.id}", request.path)

    @serves(run_operations.CONTROL)
    async def control(self, params: PipelineParams, request: ControlRequest) -> ControlResult:
        """Execute an action, with a simplified effect."""
        with self._lock:
            pipeline = self._find(params.id)
            if request.failed:
                request = pipeline.named(request)
                if not request.paths:
                    return ControlResult()
            nodes = [_node(pipeline, path) for path in request.paths]
            if request.action in WHOLE:
                changes = _WHOLE_PIPELINE[request.action]
                pipeline.record = pipeline.record.model_copy(update=changes)
                nodes = []
            elif not nodes:
                raise RefusedError(f"{request.action} needs at least one path")
            for node in nodes:
                pipeline.publish(ordered(node, request.action))
                pipeline.roll_up(node.path)
            if request.action in STARTS:
                changes = _WHOLE_PIPELINE[Action.RUN]
                pipeline.record = pipeline.record.model_copy(update=changes)
            self.actions.append((pipeline.record.id, request))
        self._ring(pipeline)
        paths = tuple(node.path for node in nodes)
        return ControlResult(affected=len(paths), paths=paths)

    @serves(debug_operations.DEBUG)
    async def debug(self, params: PipelineParams, request: DebugRequest) -> DebugPlan:
        """Return a plan of which only the node and its command are real."""
        with self._lock:
            pipeline = self._find(params.id)
            node = _node(pipeline, request.path)
            if request.attempt is not None:
                _attempt(node, request.attempt)
            number = node.attempts[-1].number if node.attempts else None
            self.shells.append((pipeline.record.id, request))
        return DebugPlan(
            pipeline=pipeline.record.id,
            path=node.path,
            attempt=number if request.attempt is None else request.attempt,
            image="debian",
            shell="/bin/sh",
            script=f"#!/bin/sh\n{node.command}\n",
            cpu=1,
            mem=1,
            folder="/nowhere",
        )

    async def changes(self, pipeline_id: str, cursor: int) -> AsyncIterator[EventBatch]:
        """Yield changes after ``cursor``, then live ones, each batch at once."""
        with self._lock:
            pipeline = self._find(pipeline_id)
        loop, news = asyncio.get_running_loop(), asyncio.Event()

        def ring() -> None:
            loop.call_soon_threadsafe(news.set)

        pipeline.readers.add(ring)
        try:
            seen: EventBatch | None = None
            while True:
                with self._lock:
                    changes = tuple(pipeline.changes[cursor:])
                    batch = EventBatch(changes=changes, pipeline=pipeline.summary())
                if changes or (seen is not None and batch.pipeline != seen.pipeline):
                    cursor += len(changes)
                    yield batch
                seen = batch
                await news.wait()
                news.clear()
        finally:
            pipeline.readers.discard(ring)

    @serves(secrets_operations.SECRETS)
    async def list_secrets(self) -> SecretList:
        """Return all secrets, without values."""
        return answers.listing(self.secret_store)

    @serves(secrets_operations.PUT_SECRETS)
    async def put_secrets(self, request: PutSecrets) -> SecretList:
        """Store secrets in memory."""
        return answers.put(self.secret_store, request)

    @serves(secrets_operations.DELETE_SECRETS)
    async def delete_secrets(self, request: DeleteSecrets) -> SecretList:
        """Delete secrets."""
        return answers.delete(self.secret_store, request)

    @serves(billing_operations.USAGE)
    async def get_usage(self, query: UsageParams) -> Usage:
        """Return the usage of all pipelines."""
        return usage_of(
            (
                (each.record, (a for view in each.nodes.values() for a in view.attempts))
                for each in self._pipelines.values()
                if is_requested(each.record, query)
            ),
            query,
        )

    @serves(billing_operations.COST)
    async def get_cost(self, params: CostParams) -> PipelineCost:
        """Return the cost of a pipeline without idle workers and storage."""
        each = self._find(params.id)
        attempts = (a for view in each.nodes.values() for a in view.attempts)
        return cost_of(each.record, attempts, params.nodes)

    async def stored_plan(self, pipeline_id: str) -> bytes | None:
        """Return None: nothing is replaced."""
        await self.get_pipeline(PipelineParams(id=pipeline_id))
        return None

    @serves(run_operations.CONTINUE)
    async def continue_pipeline(
        self, params: PipelineParams, _request: ContinueRequest
    ) -> ContinuePlan:
        """Refuse: the fake replaces no definitions."""
        raise RefusedError(f"{params.id}: the definition cannot be replaced here")

    @serves(remote_operations.GC)
    async def collect_garbage(self, request: GcRequest) -> GcReport:
        """Return a report without any resource."""
        return GcReport(dry_run=request.dry_run)

    async def get_agent(self) -> AgentStatus:
        """Return the status of a process that does not exist."""
        return AgentStatus(
            pid=0,
            url="",
            version="test",
            started=0.0,
            pipelines=len(self._pipelines),
            warnings=self.warnings,
            app=self.app,
        )

    def _find(self, beginning: str) -> PipelineState:
        return self._pipelines[resolve_id(beginning, self._pipelines)]

    def _ring(self, pipeline: PipelineState) -> None:
        for ring in tuple(pipeline.readers):
            ring()


def _nodes_of(tree: Mapping[str, Any]) -> Iterable[NodeView]:
    nodes = tree.get("nodes", {})
    if isinstance(nodes, list):  # a launch form
        return [
            NodeView(
                path=spec.path,
                type=spec.type,
                state=State.PENDING,
                command=spec.command if spec.type is NodeType.EXEC else None,
            )
            for spec in resolve(dict(tree)).nodes.values()
        ]
    return [NodeView(path=path, **{"state": State.PENDING, **n}) for path, n in nodes.items()]


def _start(offset: int, size: int) -> int:
    """Return the position to read from; a negative offset counts from the end."""
    return max(0, size + offset) if offset < 0 else min(offset, size)


def _node(pipeline: PipelineState, path: str) -> NodeView:
    if path not in pipeline.nodes:
        raise no_node(pipeline.record.id, path)
    return pipeline.nodes[path]


def _attempt(node: NodeView, number: int | None) -> AttemptRecord:
    for attempt in reversed(node.attempts):
        if number is None or attempt.number == number:
            return attempt
    which = "attempt" if number is None else f"attempt {number}"
    raise NotFoundError(f"{node.path}: no {which}")


class MemoryAgent:
    """The operation on the process that an agent adds to its pipelines."""

    def __init__(self, pipelines: Pipelines) -> None:
        self._pipelines = pipelines

    @serves(run_operations.AGENT_STATUS)
    async def get_agent(self) -> AgentStatus:
        """Return the status of the pipelines."""
        return await self._pipelines.get_agent()
