"""Every engine keeps the same promises: containers, plain processes, and the shipped fake."""

import asyncio
import os
import uuid
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from tests.fakes.engine import FakeEngine, Outcome

from conducto.wire.caching import NODE_DATA
from conducto_core.command.environment import node_folder
from conducto_core.command.task_layout import DATA_MOUNTS
from conducto_core.command.usage import Reading
from conducto_core.run.model.states import Cause
from conducto_local.engine.docker.engine import DockerEngine
from conducto_local.engine.port import (
    Engine,
    Exit,
    Job,
    Mount,
    Stream,
    Worker,
    WorkerSpec,
    WorkerStartError,
)
from conducto_local.engine.process.engine import ProcessEngine
from support.stand_ins import ensure

LABEL = "com.conducto.test"
GRACE = 0.3


@dataclass
class Bench:
    """An engine with one worker.

    Attributes:
        outcomes: Results of commands in an engine that runs none; other engines ignore them.
        unstartable: A spec whose worker cannot start.
    """

    engine: Engine
    spec: WorkerSpec
    unstartable: WorkerSpec
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    worker: Worker | None = None

    async def started(self) -> Worker:
        if self.worker is None:
            self.worker = await self.engine.start_worker(self.spec)
        return self.worker

    async def run(self, script: str, env: Mapping[str, str] | None = None) -> "Seen":
        worker = await self.started()
        seen = Seen()
        seen.exit = await worker.run(Job(script, env or {}), seen.write)
        return seen


@dataclass
class Seen:
    """The result of a command."""

    exit: Exit | None = None
    streams: dict[str, bytearray] = field(
        default_factory=lambda: {"stdout": bytearray(), "stderr": bytearray()}
    )
    writing: asyncio.Event = field(default_factory=asyncio.Event)

    def write(self, stream: Stream, data: bytes) -> None:
        self.streams[stream] += data
        self.writing.set()

    @property
    def stdout(self) -> bytes:
        return bytes(self.streams["stdout"])

    @property
    def stderr(self) -> bytes:
        return bytes(self.streams["stderr"])

    @property
    def code(self) -> int | None:
        return None if self.exit is None else self.exit.code


def _spec(image: str, shell: str) -> WorkerSpec:
    name = f"conducto-test-{uuid.uuid4().hex[:8]}"
    return WorkerSpec(
        name, image, shell, cpu=1, mem=0.25, network="none", labels={LABEL: f"contract-{name}"}
    )


def _make(kind: str) -> Bench:
    if kind == "fake":
        fake = FakeEngine(unstartable={"broken": "it is broken"})
        spec = _spec("any", "/bin/sh")
        bench = Bench(fake, spec, replace(spec, image="broken"))
        fake.outcomes = bench.outcomes
        return bench
    if kind == "process":
        spec = _spec("any", "/bin/bash")
        return Bench(ProcessEngine(grace=GRACE), spec, replace(spec, shell="/no/such/shell"))
    image, shell, *run_args = {
        "bash": ("conducto-test/debian", "/bin/bash"),
        "dash": ("conducto-test/debian", "/bin/dash", "--user=1234:1234"),
        "ash": ("conducto-test/busybox", "/bin/sh"),
    }[kind]
    ensure([f"{image}:latest"])
    spec = replace(_spec(image, shell), docker_run_args=tuple(run_args))
    return Bench(DockerEngine(grace=GRACE), spec, replace(spec, image="conducto-test/none:0"))


async def _bench(kind: str) -> AsyncIterator[Bench]:
    bench = _make(kind)
    await bench.engine.open()
    try:
        yield bench
    finally:
        if bench.worker is not None:
            await bench.worker.close()
        left = await bench.engine.remove_labelled({LABEL: bench.spec.labels[LABEL]})
        await bench.engine.close()
        assert left == 0, "a worker that was closed is there still"


DOCKER = [pytest.param(kind, marks=pytest.mark.docker) for kind in ("bash", "dash", "ash")]


@pytest.fixture(params=["fake", "process", DOCKER[0]])
async def any_engine(request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    async for bench in _bench(request.param):
        yield bench


@pytest.fixture(params=["process", *DOCKER])
async def real(request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    async for bench in _bench(request.param):
        yield bench


def _start(bench: Bench, script: str) -> tuple["asyncio.Task[Exit]", Seen]:
    assert bench.worker is not None
    seen = Seen()
    return asyncio.create_task(bench.worker.run(Job(script), seen.write)), seen


# What any engine promises.


async def test_container_usage_increases(any_engine: Bench) -> None:
    if isinstance(any_engine.engine, FakeEngine):
        any_engine.engine.readings = [Reading(0.5, 1), Reading(0.6, 2)]
    worker = await any_engine.started()

    first = await worker.reading()
    await any_engine.run("n=0; while [ $n -lt 20000 ]; do n=$((n + 1)); done")
    second = await worker.reading()

    if first is None:  # plain processes: nobody knows
        assert second is None
    else:
        assert second is not None
        assert second.cpu_seconds > first.cpu_seconds
        assert second.memory > 0


async def test_engine_reports_its_size(any_engine: Bench) -> None:
    info = await any_engine.engine.open()

    assert info.cpus >= 1
    assert info.memory > 0.25


async def test_exit_code_and_both_streams_arrive_as_they_are(any_engine: Bench) -> None:
    script = r"printf 'out\001\377'; printf 'err\n' >&2; exit 3"
    any_engine.outcomes[script] = Outcome(3, b"out\x01\xff", b"err\n")

    seen = await any_engine.run(script)

    assert (seen.code, seen.stdout, seen.stderr) == (3, b"out\x01\xff", b"err\n")


async def test_a_failing_command_has_no_cause_of_the_engine(any_engine: Bench) -> None:
    any_engine.outcomes["exit 1"] = Outcome(1)

    seen = await any_engine.run("exit 1")

    assert seen.exit is not None
    assert seen.exit.cause is None


async def test_a_worker_runs_the_next_command_after_a_failure(any_engine: Bench) -> None:
    any_engine.outcomes["exit 9"] = Outcome(9)

    codes = [(await any_engine.run(script)).code for script in ("exit 9", "exit 0")]

    assert codes == [9, 0]


async def test_a_command_with_a_nul_is_refused(any_engine: Bench) -> None:
    with pytest.raises(ValueError, match="NUL"):
        await any_engine.run("echo a\0b")
    assert (await any_engine.run("exit 0")).code == 0


async def test_two_commands_at_once_are_refused(any_engine: Bench) -> None:
    any_engine.outcomes["echo up; sleep 60"] = Outcome(0, b"up\n", held=True)
    worker = await any_engine.started()
    first, seen = _start(any_engine, "echo up; sleep 60")
    await seen.writing.wait()

    with pytest.raises(RuntimeError, match="is already running a command"):
        await worker.run(Job("exit 0"), seen.write)
    await worker.stop()
    assert (await first).code == 143


async def test_a_stopped_command_ends_by_term(any_engine: Bench) -> None:
    any_engine.outcomes["echo up; sleep 60"] = Outcome(0, b"up\n", held=True)
    worker = await any_engine.started()
    run, seen = _start(any_engine, "echo up; sleep 60")
    await seen.writing.wait()

    await worker.stop()

    assert (await run).code == 143


async def test_a_stopped_command_that_ignores_term_is_killed(any_engine: Bench) -> None:
    script = "trap '' TERM; echo up; sleep 60; sleep 60"
    any_engine.outcomes[script] = Outcome(0, b"up\n", held=True, stopped_code=137)
    worker = await any_engine.started()
    run, seen = _start(any_engine, script)
    await seen.writing.wait()

    await worker.stop()

    assert (await run).code == 137


async def test_a_worker_serves_on_after_a_stop(any_engine: Bench) -> None:
    any_engine.outcomes["echo up; sleep 60"] = Outcome(0, b"up\n", held=True)
    worker = await any_engine.started()
    run, seen = _start(any_engine, "echo up; sleep 60")
    await seen.writing.wait()
    await worker.stop()
    await run

    assert (await any_engine.run("exit 0")).code == 0


async def test_a_stop_reaches_a_command_that_is_only_starting(any_engine: Bench) -> None:
    worker = await any_engine.started()
    script = "sleep 30"
    any_engine.outcomes[script] = Outcome(held=True, stopped_code=143)
    run, _ = _start(any_engine, script)
    await asyncio.sleep(0)  # it has started, and waits for the first time

    await worker.stop()

    assert (await asyncio.wait_for(run, 20)).code == 143


async def test_a_stop_without_a_command_changes_nothing(any_engine: Bench) -> None:
    worker = await any_engine.started()

    await worker.stop()

    assert (await any_engine.run("exit 0")).code == 0


async def test_a_command_is_lost_with_its_worker(any_engine: Bench) -> None:
    any_engine.outcomes["echo up; sleep 60"] = Outcome(0, b"up\n", held=True)
    worker = await any_engine.started()
    run, seen = _start(any_engine, "echo up; sleep 60")
    await seen.writing.wait()

    await worker.close()

    assert (await run).cause is Cause.WORKER_LOST


async def test_a_worker_knows_that_it_is_lost(any_engine: Bench) -> None:
    worker = await any_engine.started()
    before = worker.lost

    await worker.close()

    assert (before, worker.lost) == (False, True)


async def test_closed_worker_raises_an_error(any_engine: Bench) -> None:
    worker = await any_engine.started()
    await worker.close()
    await worker.close()

    end = (await any_engine.run("exit 0")).exit

    assert end is not None
    assert (end.code, end.cause) == (None, Cause.WORKER_LOST)
    assert any_engine.spec.name in (end.message or "")


async def test_an_error_of_the_listener_is_raised_and_the_worker_serves_on(
    any_engine: Bench,
) -> None:
    any_engine.outcomes["echo a; exit 4"] = Outcome(4, b"a\n")
    worker = await any_engine.started()

    def full(stream: Stream, data: bytes) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        await worker.run(Job("echo a; exit 4"), full)
    assert (await any_engine.run("exit 0")).code == 0


async def test_a_worker_that_cannot_start_says_why(any_engine: Bench) -> None:
    with pytest.raises(WorkerStartError, match=r"broken|does not exist|not on this machine"):
        await any_engine.engine.start_worker(any_engine.unstartable)


async def test_only_resources_with_the_label_are_removed(any_engine: Bench) -> None:
    mine = any_engine.spec.labels[LABEL]
    await any_engine.started()
    other = replace(
        any_engine.spec, name=any_engine.spec.name + "-b", labels={LABEL: f"{mine}-other"}
    )
    survivor = await any_engine.engine.start_worker(other)
    try:
        count = await any_engine.engine.remove_labelled({LABEL: mine})

        end = await survivor.run(Job("exit 0"), lambda _stream, _data: None)
        assert (count, end.code) == (1, 0)
    finally:
        await survivor.close()


async def test_a_network_may_exist_already(any_engine: Bench) -> None:
    labels = {LABEL: any_engine.spec.labels[LABEL]}
    await any_engine.engine.ensure_network(any_engine.spec.name, labels)

    await any_engine.engine.ensure_network(any_engine.spec.name, labels)

    left = await any_engine.engine.remove_labelled({LABEL: labels[LABEL]})
    assert left <= 1


# What any engine that truly runs commands promises.

COMMANDS = {
    "no implicit -e": ("false; echo on", 0, b"on\n", b""),
    "stdin is empty": ("cat; echo end", 0, b"end\n", b""),
    "no newline at the end": ("printf abc", 0, b"abc", b""),
    "closes its stdout": ("echo a; exec >&- 2>&-; exit 5", 5, b"a\n", b""),
    "reopens its streams": ("echo a >/dev/fd/1; echo b | tee /dev/fd/2", 0, b"a\nb\n", b"b\n"),
    "ends by a signal": ("kill -TERM $$", 143, b"", b""),
    "can be interrupted": ("sh -c 'kill -INT $$; echo lived'; kill -INT $$", 130, b"", b""),
    "looks like a trailer": (r"printf '\036ready 0 0 0\n'; exit 2", 2, b"\x1eready 0 0 0\n", b""),
    "ends with half a trailer": (r"printf 'a\036'", 0, b"a\x1e", b""),
    "leaves a child in the background": ("sleep 300 & echo bg; exit 6", 6, b"bg\n", b""),
    "a here-document": ("cat <<E\na 'b' \\\\\nE", 0, b"a 'b' \\\n", b""),
    "quotes and blanks": ("echo \"it's\"  '$x' \\\\;", 0, b"it's $x \\\n", b""),
    "not ASCII": ("echo ÀÁÈé✓", 0, "ÀÁÈé✓\n".encode(), b""),
    "empty": ("", 0, b"", b""),
}


@pytest.mark.parametrize("case", COMMANDS.values(), ids=COMMANDS.keys())
async def test_a_command_ends_as_in_a_shell(
    real: Bench, case: tuple[str, int, bytes, bytes]
) -> None:
    script, code, stdout, stderr = case

    seen = await real.run(script)

    assert (seen.code, seen.stdout, seen.stderr) == (code, stdout, stderr)


async def test_a_missing_command_has_code_127(real: Bench) -> None:
    seen = await real.run("no-such-command")

    assert seen.code == 127
    assert b"not found" in seen.stderr


@pytest.mark.parametrize(
    "value",
    ["", 'it\'s "q" $x `y` \\', "two\nlines\n", " é\tÁ ", "\udcff\udc81", "#x", "~", "=", "*"],
    ids=ascii,
)
async def test_a_variable_arrives_byte_by_byte(real: Bench, value: str) -> None:
    seen = await real.run('printf "[%s]" "$VALUE"', {"VALUE": value})

    assert seen.stdout == b"[" + os.fsencode(value) + b"]"


async def test_variables_do_not_reach_the_next_command(real: Bench) -> None:
    await real.run("true", {"ONE": "1", "TWO": "2"})
    await real.run("true", {"TWO": "22", "THREE": "3"})

    seen = await real.run('echo "$ONE,$TWO,$THREE,$FOUR"', {"FOUR": "4"})

    assert seen.stdout == b",,,4\n"


async def test_a_variable_changes_from_command_to_command(real: Bench) -> None:
    seen = [
        (await real.run('echo "$A$B$C$D"', {"A": "a", "B": "b", "C": str(n), **extra})).stdout
        for n, extra in enumerate([{}, {}, {"D": "d"}, {}])
    ]

    assert seen == [b"ab0\n", b"ab1\n", b"ab2d\n", b"ab3\n"]


async def test_a_variable_that_shells_guard_is_set(real: Bench) -> None:
    seen = await real.run("env", {"UID": "7", "PLAIN": "z"})

    assert {b"UID=7", b"PLAIN=z"} <= set(seen.stdout.splitlines())


async def test_a_megabyte_of_command_is_run(real: Bench) -> None:
    seen = await real.run("x='" + "y" * 1_100_000 + "'\necho ${#x}")

    assert (seen.code, seen.stdout) == (0, b"1100000\n")


async def test_long_commands_and_values_follow_each_other(real: Bench) -> None:
    long = "x" * 100_000 + "'\n\\$"
    first = await real.run(f": '{'y' * 5000}'; printf %s \"$LONG\" | wc -c", {"LONG": long})
    second = await real.run("echo short; cat /conducto/run/* 2>/dev/null | grep -c 'x\\{50\\}'")
    third = await real.run(f": '{'z' * 5000}'; exit 3")

    assert first.stdout.strip() == b"100004"
    assert second.stdout == b"short\n0\n"  # no output of the first command is left
    assert third.code == 3


async def test_a_command_is_an_executable_file_of_its_shell(real: Bench) -> None:
    seen = await real.run('test -x "$0" && head -n 1 "$0"')

    assert (seen.code, seen.stdout) == (0, f"#!{real.spec.shell}\n".encode())


async def test_megabytes_of_output_come_whole(real: Bench) -> None:
    seen = await real.run("yes 0123456 | head -c 20000000; echo end >&2")

    assert seen.stdout == b"0123456\n" * 2_500_000
    assert seen.stderr == b"end\n"


async def test_a_child_in_the_background_does_not_outlive_its_command(real: Bench) -> None:
    child = (await real.run("sleep 300 >/dev/null 2>&1 & echo $!")).stdout.decode().strip()

    alive = f"grep -q 'State:.[RSD]' /proc/{child}/status 2>/dev/null"
    wait = f"n=0; while {alive} && [ $n -lt 60 ]; do sleep 0.05; n=$((n + 1)); done"
    seen = await real.run(f"{wait}; {alive} || echo gone")

    assert seen.stdout == b"gone\n"


async def test_directory_of_a_node_stays_until_its_command_succeeds(
    real: Bench, tmp_path: Path
) -> None:
    await asyncio.to_thread(tmp_path.chmod, 0o777)  # the container has other users
    real.spec = replace(real.spec, mounts=(Mount(str(tmp_path), DATA_MOUNTS["pipeline"]),))
    folder = node_folder("/train")
    env = {NODE_DATA: f"{DATA_MOUNTS['pipeline']}/{folder}"}

    save = f'umask 0; mkdir -p "${NODE_DATA}"; echo 7 >"${NODE_DATA}/step"; exit 1'
    first = await real.run(save, env)
    assert first.code == 1
    await real.run("true", {NODE_DATA: f"{DATA_MOUNTS['pipeline']}/{node_folder('/other')}"})
    assert (tmp_path / folder / "step").read_text() == "7\n"

    second = await real.run(f'cat "${NODE_DATA}/step"', env)
    assert (second.code, second.stdout) == (0, b"7\n")
    assert not (tmp_path / folder).exists()
    third = await real.run(f'test -e "${NODE_DATA}"', env)
    assert third.code == 1  # an empty start, without a directory of an earlier run
