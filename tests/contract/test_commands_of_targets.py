"""The agent and the worker make the same of a command's output and end, whatever it prints."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple, cast

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.fakes.worker import FakeApi, FakeClock, FakeCommand, FakeCommands, FakeTasks

import conducto as co
from conducto.tree.launch_form import to_launch_form
from conducto_core.command.masking import Mask
from conducto_core.command.output import CLOSE, OPEN
from conducto_core.command.server import JUNIT_FILES, JUNIT_START, Part
from conducto_core.command.usage import PeakMemory
from conducto_core.run.model.states import Cause
from conducto_core.run.rules.outcomes import AttemptEnd, out_of_memory
from conducto_core.tree.rules.checks import Limits
from conducto_core.tree.rules.resolve import resolve
from conducto_core.workers.model import ClaimDecision, ClaimResponse, WorkerInstructions
from conducto_local.engine.port import Exit, Job, Output
from conducto_local.logs.store import LogDirectory
from conducto_local.run.command import run_command
from conducto_local.run.containers import Container
from conducto_local.run.live_pipeline import ActiveAttempt
from conducto_worker.agent.command import Execution
from conducto_worker.agent.heartbeats import HeartbeatSender
from conducto_worker.agent.log_shipper import LogShipper
from conducto_worker.agent.services import Services
from conducto_worker.agent.usage import Sampler
from conducto_worker.agent.views import Views

SECRETS = ("hunter22-secret", "s3cr3tvalue")
LAZY, PLAIN = "/lazy/Generate", "/plain"
MEM = 0.5
KEPT = ("stdout", "stderr", "result", "metrics", "artifacts", "tests")
TREE = to_launch_form(co.Serial())["nodes"]


class Command(NamedTuple):
    """What a command prints and leaves, and how it ends."""

    parts: tuple[tuple[Part, bytes], ...]
    files: dict[str, bytes]
    code: int
    oom_kills: int
    lazy: bool


class Made(NamedTuple):
    """What a target makes of it."""

    streams: dict[str, bytes]
    cause: Cause | None
    facts: AttemptEnd
    has_tree: bool


class ScriptedWorker:
    """A container of the agent that runs one command."""

    name = "scripted"

    def __init__(self, command: Command) -> None:
        self._command = command

    async def run(self, _job: Job, output: Output) -> Exit:
        command = self._command
        for part, data in command.parts:
            output(part, data)
        is_oom = command.oom_kills > 0 and command.code != 0
        cause = Cause.OUT_OF_MEMORY if is_oom else None
        message = out_of_memory(MEM) if is_oom else None
        return Exit(command.code, cause, message, 5, files=command.files)


def on_machine(command: Command, directory: Path) -> Made:
    root = co.Serial(image="debian", mem=MEM)
    root["plain"], root["lazy"] = co.Exec("true"), co.lazy_shell("true")
    pipeline = resolve(to_launch_form(root))
    path = LAZY if command.lazy else PLAIN
    record = SimpleNamespace(parent=None, engine="docker")
    live = cast("Any", SimpleNamespace(pipeline=pipeline, edits={}, record=record))
    active = ActiveAttempt(live, cast("Any", pipeline.nodes[path]), 1, MEM, 0.0)
    active.container = Container(cast("Any", ScriptedWorker(command)), cast("Any", None))
    log = LogDirectory(directory)

    async def run() -> Made:
        limits = Limits("here", 4, 8, 0)
        result = await run_command(
            active, Job(""), limits, log, Mask(SECRETS), changed=lambda _summary: None
        )
        reader = log.reader(path, 1)
        streams = {name: reader.read(cast("Any", name), 0, 1 << 24).data for name in KEPT}
        return Made(streams, result.cause, result.facts, result.tree is not None)

    return asyncio.run(run())


def in_cloud(command: Command) -> Made:
    clock = FakeClock()
    api = FakeApi(WorkerInstructions(activity="arn:activity", region="us-east-1"))
    shipper = LogShipper(api, clock)
    clock.meanwhile = [shipper.step]
    response = ClaimResponse(
        decision=ClaimDecision.RUN,
        path="/a",
        attempt=1,
        script="it",
        masked=SECRETS,
        prints_tree=command.lazy,
        mem=MEM,
    )
    scripted = FakeCommand(
        command.parts, code=command.code, oom_kills=command.oom_kills, peak=5, files=command.files
    )
    ended = Execution(
        response,
        commands=FakeCommands(clock, {"it": scripted}),
        shipper=shipper,
        sampler=Sampler(lambda: None, shipper, clock),
        keeper=HeartbeatSender(api, FakeTasks(clock, ()), shipper),
        clock=clock,
        services=Services((), lambda _path: None, clock),
        views=Views(),
        peak=PeakMemory(),
    ).run()
    streams = dict.fromkeys(KEPT, b"")
    for chunk in api.chunks:
        if chunk.stream in streams:
            streams[chunk.stream] += api.sent(chunk)
    report = ended.report
    facts = AttemptEnd(**{name: getattr(report, name, None) for name in AttemptEnd._fields})
    return Made(streams, report.cause, facts, ended.tree is not None)


def printed(document: object) -> bytes:
    return OPEN + base64.b64encode(gzip.compress(json.dumps(document).encode())) + CLOSE


def frame_of(**line: object) -> bytes:
    return b"metrics " + json.dumps(line).encode()


WORDS = st.sampled_from(
    [b"line\n", b"ValueError: no disk\n", b"s3cr3t", b"\xc3\xa9", OPEN, *map(str.encode, SECRETS)]
)
TEXTS = st.builds(
    lambda before, trees, after: b"".join([*before, *trees, *after]),
    st.lists(WORDS, max_size=8),
    st.sampled_from([[], [printed({"nodes": TREE})], [printed([1])], [printed({})] * 2]),
    st.lists(WORDS, max_size=8),
)
FRAMES = st.builds(frame_of, name=st.sampled_from(["loss", SECRETS[0]]), value=st.floats(0, 9))
RESULTS = st.sampled_from([b"", b"{", *(json.dumps({"a": a}).encode() for a in (1, *SECRETS))])
JUNIT = b'<testsuite><testcase name="s3cr3tvalue"><failure>no</failure></testcase></testsuite>'


@st.composite
def commands(draw: st.DrawFn) -> Command:
    parts: list[tuple[Part, bytes]] = []
    streams: st.SearchStrategy[Part] = st.sampled_from(["stdout", "stderr"])
    for text in (draw(TEXTS), draw(TEXTS)):
        stream, rest = draw(streams), text
        while rest:
            size = draw(st.integers(1, 40))
            parts.append((stream, rest[:size]))
            rest = rest[size:]
            if draw(st.integers(0, 5)) == 0:
                parts.append(("frame", draw(FRAMES)))
    files = {
        "result": draw(RESULTS),
        "metrics": draw(st.sampled_from([b"", b'{"name": "loss", "value": 1, "step": 1}\n'])),
    }
    if draw(st.booleans()):
        files[JUNIT_FILES] = JUNIT_START + b"a.xml\n" + JUNIT
    files = draw(st.sampled_from([{}, files]))
    code, kills = draw(st.sampled_from([0, 0, 1, 137])), draw(st.integers(0, 1))
    return Command(tuple(parts), files, code, kills, draw(st.booleans()))


@settings(max_examples=60)
@given(commands())
def test_both_targets_make_the_same_of_a_command(command: Command) -> None:
    with tempfile.TemporaryDirectory() as directory:
        local = on_machine(command, Path(directory))

    cloud = in_cloud(command)

    shown = b"".join(local.streams.values())
    assert cloud.streams == local.streams
    assert not any(secret.encode() in shown for secret in SECRETS)
    assert cloud.facts == local.facts
    assert (cloud.cause, cloud.has_tree) == (local.cause, local.has_tree)


def test_lazy_with_invalid_tree_keeps_its_outputs_on_both_targets(tmp_path: Path) -> None:
    command = Command((("stdout", printed([1])),), {"result": b"1"}, 0, 0, lazy=True)

    for made in (on_machine(command, tmp_path), in_cloud(command)):
        assert made.cause is Cause.LAZY
        assert made.facts.outputs is not None
        assert made.facts.outputs.result == 1
        assert made.facts.message == "printed a broken tree: not a JSON object"


def test_message_of_memory_names_the_limit_on_both_targets(tmp_path: Path) -> None:
    command = Command((), {}, 137, 1, lazy=False)

    for made in (on_machine(command, tmp_path), in_cloud(command)):
        assert made.cause is Cause.OUT_OF_MEMORY
        assert "the node's limit of 0.5 GB; raise mem=" in str(made.facts.message)


def test_printed_tree_is_read_by_both_targets(tmp_path: Path) -> None:
    command = Command((("stdout", b"a" + printed({"nodes": TREE}) + b"b"),), {}, 0, 0, lazy=True)

    for made in (on_machine(command, tmp_path), in_cloud(command)):
        assert (made.cause, made.has_tree, made.streams["stdout"]) == (None, True, b"ab")
