"""The tools of assistants over the API of any target.

Every tool returns text of bounded size. Text of commands is between tags with a random word, and
names are JSON strings (`conducto_core.assistants.rules.untrusted`).
"""

import json
import re
import secrets
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from conducto_core.assistants.model import ExecRequest, ExecResult
from conducto_core.assistants.operations import EXEC
from conducto_core.assistants.pages import search
from conducto_core.assistants.port import Api
from conducto_core.assistants.rules.authority import ordered
from conducto_core.assistants.rules.protocol import McpClient
from conducto_core.assistants.rules.tools import (
    BY_NAME,
    MAX_BYTES,
    Tool,
    ToolError,
    check_dry_run_token,
    checked,
    dry_run_token,
    tools_for,
)
from conducto_core.assistants.rules.untrusted import clean, fence, last_lines, quoted
from conducto_core.billing.model import CostParams
from conducto_core.billing.operations import COST
from conducto_core.diagnosis.model import DiagnosisParams
from conducto_core.diagnosis.operations import GET_DIAGNOSIS
from conducto_core.logs import operations as logs
from conducto_core.programs import operations as programs
from conducto_core.programs.history import ComparisonParams
from conducto_core.programs.model import (
    LaunchAgain,
    ProgramCall,
    ProgramStart,
    ProgramView,
    StartProgram,
    StartState,
)
from conducto_core.run import operations as run
from conducto_core.run.model import params as p
from conducto_core.run.model.labels import duration
from conducto_core.run.model.records import AttemptRecord
from conducto_core.run.model.requests import (
    Action,
    Changes,
    ControlRequest,
    ControlResult,
    NodeView,
    PipelineSummary,
)
from conducto_core.run.model.states import FAILED, State

#: Seconds between two looks at a pipeline while a tool waits.
_POLL_SECONDS = 0.5
#: Maximum nodes that one tool reads, and names of them that it prints.
_NODES, _NAMED = 200, 10
_TAIL = 100
_SPAN = 20
_CHANGES = ("command", "env", "cpu", "mem", "max_time", "image")


@dataclass
class Tools:
    """The tools for the requests of one token.

    Attributes:
        api: The API with that token.
        scopes: Those of the token.
        key: Signs the tokens of dry runs.
        clock: Returns seconds since the epoch.
        sleep: Waits.
    """

    api: Api
    scopes: Collection[str]
    key: bytes = field(repr=False)
    clock: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep

    def listed(self) -> list[dict[str, Any]]:
        """Return the tools that the token may call."""
        return [tool.listed() for tool in tools_for(self.scopes)]

    def call(self, name: str, arguments: Mapping[str, Any], client: McpClient) -> dict[str, Any]:
        """Call a tool; return the result of ``tools/call``, also for an error."""
        self.api.client = client.name or self.api.client
        try:
            arguments = checked(self._tool(name), arguments)
            text, failed = getattr(self, name)(**arguments), False
        except ToolError as error:
            text, failed = clean(str(error)), True
        except Exception as error:  # noqa: BLE001  a traceback never reaches the client
            text, failed = f"{name} failed in Conducto itself ({type(error).__name__})", True
        data = text.encode()
        if len(data) > MAX_BYTES:
            text = f"{data[:MAX_BYTES].decode(errors='ignore')}\n… cut at {MAX_BYTES:,} bytes"
        return {"content": [{"type": "text", "text": text}], "isError": failed}

    def _tool(self, name: str) -> Tool:
        tool = BY_NAME.get(name)
        if tool is None:
            known = ", ".join(one.name for one in tools_for(self.scopes))
            raise ToolError(f"there is no tool {name[:80]!r}; there are {known}")
        if tool.scope not in self.scopes:
            raise ToolError(
                f"{name} needs the scope {tool.scope!r}, which a person grants: conducto mcp "
                f"--allow {','.join(ordered({*self.scopes, tool.scope}))}"
            )
        return tool

    # ---- looking ------------------------------------------------------------------------------

    def list_pipelines(self, limit: int, **filters: Any) -> str:
        """Return a line for each pipeline."""
        found = self.api.call(run.LIST, p.ListParams(limit=limit, **filters)).pipelines
        return "\n".join(map(self._line, found)) or "no pipelines"

    def explain(self, id: str, max_bytes: int, path: str = "/") -> str:  # noqa: A002
        """Return the diagnosis of the server."""
        query = DiagnosisParams(
            id=self._find(id).pipeline.id, root=path, max_bytes=max_bytes, format="text"
        )
        return self.api.call(GET_DIAGNOSIS, query).text or ""

    def get_node(self, id: str, path: str) -> str:  # noqa: A002
        id_ = self._find(id).pipeline.id
        found = self.api.call(run.NODE, p.NodeParams(id=id_, path=path))
        node, nonce = found.node, _nonce()
        parts = [f"{quoted(node.path)} {node.type.value}, {_state(node)}"]
        for one in found.parameters:
            source = "default" if one.source is None else f"from {quoted(one.source)}"
            changed = ", modified" if one.modified else ""
            value = clean(json.dumps(one.value, ensure_ascii=False, default=str))
            parts.append(f"  {one.name} = {value} ({source}{changed})")
        if found.env:
            lines = [f"{one.name}={one.value}" for one in found.env]
            parts.append("environment, without secrets:\n" + fence(lines[:100], nonce))
        if node.file:
            parts.append(f"made in {quoted(f'{node.file}:{node.line}')}")
        if node.command:
            parts.append("command:\n" + fence(node.command.splitlines()[:200], nonce))
        parts += [_attempt(one, nonce) for one in node.attempts[-10:]]
        return "\n".join(parts)

    def get_logs(self, id: str, max_bytes: int, path: str = "", **query: Any) -> str:  # noqa: A002
        """Return lines of output of a node or of the build of an image."""
        id_ = self._find(id).pipeline.id
        if image := query.pop("image", None):
            return self._image_log(id_, image, max_bytes, **query)
        if not path:
            raise ToolError("get_logs needs path or image")
        streams = (query.pop("stream"),) if "stream" in query else ("stdout", "stderr")
        where = {"id": id_, "path": path, "attempt": query.pop("attempt", None)}
        room = max_bytes // len(streams)
        parts = [self._stream({**where, "stream": one}, room, **query) for one in streams]
        return "\n".join(parts)

    def _stream(
        self,
        where: dict[str, Any],
        max_bytes: int,
        *,
        search: str | None = None,
        around: int | None = None,
        tail: int | None = None,
    ) -> str:
        stream = where["stream"]
        if search is not None:
            _check_pattern(search)
            wanted = p.LogSearchParams(**where, text=search, regex=True, limit=100)
            found = self.api.call(logs.LOG_SEARCH, wanted)
            lines = [(one.line, one.text) for one in found.matches]
            head = f"{stream}: {len(lines)} lines match"
        else:
            first = max(0, around - _SPAN) if around is not None else -(tail or _TAIL)
            count = 2 * _SPAN + 1 if around is not None else tail or _TAIL
            shown = p.LogLinesParams(**where, first=first, count=count, limit=256 << 10)
            found = self.api.call(logs.LOG_LINES, shown)
            lines = list(enumerate(found.lines, start=found.first))
            total = "?" if found.total is None else f"{found.total:,}"
            head = f"{stream}: {len(lines)} of {total} lines"
        numbered = [f"{'?' if n is None else n}: {text}" for n, text in lines]
        kept, left = last_lines(numbered, max_bytes)
        more = f", the first {left} of them left out" if left else ""
        return f"{head}{more}\n{fence(kept, _nonce())}"

    def _image_log(self, id_: str, image: str, max_bytes: int, tail: int = _TAIL, **_: Any) -> str:
        query = p.ImageLogParams(id=id_, image=image, offset=-(256 << 10))
        found = self.api.call(run.IMAGE_LOG, query)
        kept, left = last_lines(found.text.splitlines()[-tail:], max_bytes)
        more = f", {left} lines left out" if left else ""
        return f"build of {quoted(image)}{more}\n{fence(kept, _nonce())}"

    def compare(self, id: str, other: str | None = None) -> str:  # noqa: A002
        """Return the differences from another pipeline."""
        after = self._find(id)
        before = self._find(other).pipeline.id if other else self._last_passed(after)
        query = ComparisonParams(id=after.pipeline.id, other=before, limit=_NAMED)
        found = self.api.call(programs.COMPARE_PIPELINES, query)
        parts = [f"{after.pipeline.id} compared with {before}: both have {found.nodes} commands"]
        nonce = _nonce()
        for each in found.differences:
            lines = [
                f"{quoted(one.name)} {one.before or '-'} -> {one.after or '-'}"
                for one in each.items
            ]
            parts.append(f"{each.count} {each.kind.value.replace('_', ' ')}")
            parts.append(fence(lines, nonce))
        return "\n".join(parts if found.differences else [*parts, "no differences"])

    def _last_passed(self, after: PipelineSummary) -> str:
        record = after.pipeline
        query = p.ListParams(state=State.DONE, text=record.program or record.title, limit=100)
        for one in self.api.call(run.LIST, query).pipelines:
            known = one.pipeline
            same = (known.program, known.function) == (record.program, record.function)
            if same and known.created < record.created:
                return str(known.id)
        raise ToolError("no earlier pipeline of this program has passed; name other")

    def why_waiting(self, id: str, path: str = "/") -> str:  # noqa: A002
        """Return the reasons why nodes do not run, with their numbers."""
        summary = self._find(id)
        reasons: Counter[tuple[str, str]] = Counter()
        first: dict[tuple[str, str], str] = {}
        for state in (State.QUEUED, State.PENDING):
            query = p.TreeParams(
                id=summary.pipeline.id, root=path, state=state, limit=_NODES, attempts="none"
            )
            for node in self.api.call(run.TREE, query).nodes:
                wait = (node.waits_for or "", node.wait_remedy or "")
                reasons[wait] += 1
                first.setdefault(wait, node.path)
        parts = [self._line(summary)]
        if summary.pipeline.problem:
            parts.append(f"paused: {clean(summary.pipeline.problem)}")
        elif not summary.pipeline.armed:
            parts.append("the pipeline is paused, or has settled; rerun starts it")
        for (reason, remedy), number in reasons.most_common(_NAMED):
            text = clean(reason) or "no reason is known: it was skipped, or the pipeline is paused"
            more = f" (remedy: {clean(remedy)})" if remedy else ""
            parts.append(f"{number} x {text}{more}; first {quoted(first[reason, remedy])}")
        return "\n".join(parts)

    def wait(
        self,
        id: str,  # noqa: A002
        seconds: float,
        until: str,
        cursor: int | None = None,
    ) -> str:
        """Return the pipeline once it has settled or changed, or after a time."""
        summary = self._find(id)
        seen = summary.seq if cursor is None else cursor
        end = self.clock() + seconds
        query = p.PipelineParams(id=summary.pipeline.id)
        while not (summary.settled or (until == "change" and summary.seq > seen)):
            left = end - self.clock()
            if left <= 0:
                break
            self.sleep(min(_POLL_SECONDS, left))
            summary = self.api.call(run.GET, query)
        settled = "settled" if summary.settled else "not settled yet: call wait again"
        return f"{self._line(summary)}\n{settled}; cursor {summary.seq}"

    def search_docs(self, query: str) -> str:
        """Return the sections of the documentation that fit best."""
        found = search(query, limit=3)
        return "\n---\n".join(one.text() for one in found) or "nothing found"

    def plan(
        self,
        id: str | None = None,  # noqa: A002
        script: str | None = None,
        args: dict[str, str] | None = None,
    ) -> str:
        """Return the time and cost of a pipeline, as an estimate for another one."""
        summary = self._program(id, script)
        if script is not None or args:
            return self._plan_of_script(summary, args or {})
        cost = self.api.call(COST, CostParams(id=summary.pipeline.id, nodes=3))
        commands = sum(summary.counts.model_dump().values())
        seconds = summary.active_seconds
        took = "an unknown time" if seconds is None else duration(seconds)
        price = "nothing: this machine is free" if cost.free else f"${cost.dollars:.4f} so far"
        if cost.price is not None:
            price = f"${cost.price:.4f} so far, ${cost.dollars:.4f} at AWS's prices"
        return f"{self._line(summary)}\n{commands} commands, {took}; cost {price}"

    def _plan_of_script(self, summary: PipelineSummary, args: dict[str, str]) -> str:
        """Run a script, and return what it would launch."""
        call = self._call_of(summary)
        merged = {**call.arguments, **args}
        started = self._start(summary, StartProgram(arguments=merged, action="plan"))
        if started.plan is None:
            raise ToolError("the script made no plan")
        plan = started.plan
        cost = "no cost is known" if plan.dollars is None else f"about ${plan.dollars:.4f}"
        note = f" ({clean(plan.note)})" if plan.note else ""
        return (
            f"{quoted(call.function)} of {quoted(call.script)} would launch {plan.commands} "
            f"commands; a run in the cloud costs {cost}{note}; {plan.known} durations are known"
        )

    # ---- acting -------------------------------------------------------------------------------

    def rerun(
        self,
        id: str,  # noqa: A002
        token: str | None = None,
        *,
        failed: bool = False,
        paths: list[str] | None = None,
    ) -> str:
        """Reset nodes, and run the pipeline."""
        if not paths and not failed:
            raise ToolError("rerun needs paths, or failed=true")
        request = ControlRequest(action=Action.RERUN, paths=tuple(paths or ()), failed=failed)
        arguments = {"id": id, "paths": paths, "failed": failed}
        return self._act("rerun", id, arguments, token, request)

    def skip(
        self,
        id: str,  # noqa: A002
        paths: list[str],
        token: str | None = None,
        *,
        unskip: bool = False,
    ) -> str:
        """Skip nodes, or take them in again."""
        action = Action.UNSKIP if unskip else Action.SKIP
        request = ControlRequest(action=action, paths=tuple(paths))
        arguments = {"id": id, "paths": paths, "unskip": unskip}
        return self._act("skip", id, arguments, token, request)

    def cancel(self, id: str, token: str | None = None) -> str:  # noqa: A002
        """Pause a pipeline, and kill its commands."""
        request = ControlRequest(action=Action.CANCEL)
        return self._act("cancel", id, {"id": id}, token, request)

    def modify(
        self,
        id: str,  # noqa: A002
        path: str,
        token: str | None = None,
        *,
        rerun: bool = True,
        **changes: Any,
    ) -> str:
        """Change parameters of a node, and run it again."""
        if not changes:
            raise ToolError(f"modify needs one of {', '.join(_CHANGES)}")
        changed = ControlRequest(
            action=Action.MODIFY, paths=(path,), changes=Changes.model_validate(changes)
        )
        again = (ControlRequest(action=Action.RERUN, paths=(path,)),) if rerun else ()
        arguments = {"id": id, "path": path, "rerun": rerun, **changes}
        return self._act("modify", id, arguments, token, changed, *again)

    def _act(
        self,
        tool: str,
        given: str,
        arguments: Mapping[str, Any],
        token: str | None,
        *requests: ControlRequest,
    ) -> str:
        """Return the effect of actions and a token, or execute them with it.

        The token is bound to the effect, not to the newest change: other nodes may run meanwhile.
        """
        summary = self._find(given)
        id_ = summary.pipeline.id
        query = p.PipelineParams(id=id_)
        previews: list[ControlResult] = []
        for request in requests:
            asked = request.model_copy(update={"preview": True})
            previews.append(self.api.call(run.CONTROL, query, asked))
        effect = json.dumps(
            [id_, summary.pipeline.revision]
            + [[one.affected, one.paths, one.stopped] for one in previews]
        )
        words = _effect(previews[-1] if tool == "modify" else previews[0])
        if token is None:
            made = dry_run_token(self.key, tool, arguments, effect, self.clock())
            return f"dry run, nothing has changed: {tool} {words}\ntoken: {made}"
        check_dry_run_token(self.key, token, tool, arguments, effect, self.clock())
        for number, request in enumerate(requests):
            self.api.call(run.CONTROL, query, request, f"{token}.{number}")
        return f'done: {tool} {words}\nnext: wait(id="{id_}")'

    def launch(
        self,
        program: str | None = None,
        script: str | None = None,
        token: str | None = None,
        **options: Any,
    ) -> str:
        summary = self._program(program, script)
        id_, args, budget = summary.pipeline.id, options.get("args") or {}, options.get("budget")
        query = p.PipelineParams(id=id_)
        view = self.api.call(programs.PROGRAM, query)
        runs_here = view.call is not None and view.problem is None
        if args or script is not None:
            self._check_call(view)
        merged = {**view.call.arguments, **args} if runs_here else {}
        arguments = {"program": program, "script": script, **options}
        effect = json.dumps([id_, merged, runs_here], sort_keys=True)
        if token is None:
            made = dry_run_token(self.key, "launch", arguments, effect, self.clock())
            name = quoted(view.call.function) if runs_here else "the same tree"
            values = quoted(json.dumps(merged, ensure_ascii=False))
            limit = "" if budget is None else f", for at most ${budget:g} in the cloud"
            words = f"launches {name} with {values}{limit}; the last time: {self.plan(id_)}"
            return f"dry run, nothing was launched: {words}\ntoken: {made}"
        check_dry_run_token(self.key, token, "launch", arguments, effect, self.clock())
        if runs_here:
            request = StartProgram(arguments=merged, budget=budget)
            launched = self._start(summary, request, token).pipeline
        else:
            again = LaunchAgain(budget=budget)
            launched = self.api.call(run.LAUNCH_AGAIN, query, again, token).pipeline.id
        if launched is None:
            raise ToolError("the script ended without launching a pipeline")
        return f'launched {launched}\nnext: wait(id="{launched}")'

    def _start(
        self, summary: PipelineSummary, request: StartProgram, key: str | None = None
    ) -> ProgramStart:
        """Run a script to its end; raises `ToolError` if it fails."""
        query = p.PipelineParams(id=summary.pipeline.id)
        found: ProgramStart = self.api.call(programs.START_PROGRAM, query, request, key)
        for _ in range(50):
            if found.state is not StartState.RUNNING:
                break
            self.sleep(_POLL_SECONDS)
            started = programs.PROGRAM_START.params(start=found.id)
            found = self.api.call(programs.PROGRAM_START, started)
        if found.state is StartState.DONE:
            return found
        problems = [f"{name} {reason}" for name, reason in found.problems.items()]
        lines = [*problems, found.message or "", *found.output.splitlines()[-20:]]
        raise ToolError(f"the program is {found.state.value}: {clean(' '.join(lines)).strip()}")

    def exec_in_failure(self, id: str, **fields: Any) -> str:  # noqa: A002
        """Run a command in a container like that of a failed attempt."""
        id_ = self._find(id).pipeline.id
        request = ExecRequest(**fields, secrets="use_secrets" in self.scopes)
        found: ExecResult = self.api.call(EXEC, p.PipelineParams(id=id_), request)
        if found.waiting is not None:
            return f"no result yet: {found.waiting}; make the same call again in some seconds"
        files = (
            "as the failed command left them"
            if found.files == "snapshot"
            else "those of its image (snapshot_on_error=True would keep those of a failure)"
        )
        late = " (time limit)" if found.timed_out else ""
        kept = "kept from the last call" if found.kept else "new"
        head = (
            f"exit code {found.code}{late}, {found.seconds:.1f} s; container {kept}; "
            f"files {files}; the command of the node is {found.script}"
        )
        parts = [head]
        if found.withheld:
            parts.append(f"secrets withheld: {', '.join(map(quoted, found.withheld))}")
        for name, text, size in (
            ("stdout", found.stdout, found.stdout_size),
            ("stderr", found.stderr, found.stderr_size),
        ):
            if text:
                kept_lines, _ = last_lines(text.splitlines(), fields["max_bytes"])
                parts.append(f"{name}, {size:,} bytes:\n{fence(kept_lines, _nonce())}")
        return "\n".join(parts)

    # ---- helpers ------------------------------------------------------------------------------

    def _program(self, id_: str | None, script: str | None) -> PipelineSummary:
        """Return the pipeline with an id, or the newest one that a script launched."""
        if (id_ is None) == (script is None):
            raise ToolError("name either a pipeline or a script")
        if id_ is not None:
            return self._find(id_)
        wanted = f"/{script}".replace("//", "/")
        query = p.ListParams(text=str(script)[:200], limit=100)
        found: dict[str, PipelineSummary] = {}
        for one in self.api.call(run.LIST, query).pipelines:
            path = one.pipeline.program or ""
            if f"/{path}".replace("//", "/").endswith(wanted):
                found.setdefault(path, one)
        if len(found) > 1:
            raise ToolError(f"several scripts end so: {', '.join(map(quoted, found))}; name one")
        if not found:
            raise ToolError(
                f"no pipeline was launched by {quoted(str(script))}: a person, or an assistant "
                f"with a shell, launches it once: python {quoted(str(script))} --local"
            )
        return next(iter(found.values()))

    def _call_of(self, summary: PipelineSummary) -> ProgramCall:
        query = p.PipelineParams(id=summary.pipeline.id)
        return self._check_call(self.api.call(programs.PROGRAM, query))

    @staticmethod
    def _check_call(view: ProgramView) -> ProgramCall:
        """Return the call of a program that can be started here."""
        if view.call is None or view.problem is not None:
            reason = view.problem or "its program was not recorded"
            raise ToolError(f"the program cannot be started: {reason}")
        return view.call

    def _find(self, given: str) -> PipelineSummary:
        """Return the pipeline that an id, its beginning, ``@last`` or ``@failed`` means."""
        found: PipelineSummary
        if given not in {"@last", "@failed"}:
            found = self.api.call(run.GET, p.PipelineParams(id=given or "?"))
            return found
        states = [None] if given == "@last" else sorted(FAILED)
        newest: list[PipelineSummary] = [
            one
            for state in states
            for one in self.api.call(run.LIST, p.ListParams(state=state, limit=1)).pipelines
        ]
        if not newest:
            raise ToolError(f"there is no pipeline for {given}")
        return max(newest, key=lambda one: one.pipeline.created)

    def _line(self, summary: PipelineSummary) -> str:
        record, counts = summary.pipeline, summary.counts.model_dump()
        numbers = ", ".join(f"{number} {name}" for name, number in counts.items() if number)
        age = duration(max(0.0, self.clock() - record.created))
        settled = "settled" if summary.settled else "in progress"
        state = summary.state.value
        return f"{record.id} {state}, {settled}, {numbers}, {age} ago, {quoted(record.title)}"


def _nonce() -> str:
    return secrets.token_hex(4)


def _state(node: NodeView) -> str:
    cause = f" ({node.cause.value})" if node.cause is not None else ""
    return f"{node.state.value}{cause}{', skipped' if node.skipped else ''}"


def _attempt(one: AttemptRecord, nonce: str) -> str:
    took = ""
    if one.started is not None and one.ended is not None:
        took = f", {duration(one.ended - one.started)}"
    cause = f" ({one.cause.value})" if one.cause is not None else ""
    code = f", exit code {one.exit_code}" if one.exit_code is not None else ""
    text = f"attempt {one.number}: {one.state.value}{cause}{code}{took}"
    return f"{text}\n{fence(one.message.splitlines()[:5], nonce)}" if one.message else text


def _effect(result: ControlResult) -> str:
    names = ", ".join(quoted(path) for path in result.paths[:_NAMED])
    more = f" and {result.affected - _NAMED} more" if result.affected > _NAMED else ""
    notes = "".join(f"\nnote: {clean(note)}" for note in result.notes)
    return f"affects {result.affected} commands ({names}{more}) and stops {result.stopped}{notes}"


def _check_pattern(pattern: str) -> None:
    try:
        re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        raise ToolError(f"search is not a regular expression: {error}") from None
