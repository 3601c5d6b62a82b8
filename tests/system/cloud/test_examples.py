"""The same pipelines on this machine and in the emulated cloud: equal records, logs and files."""

from __future__ import annotations

import asyncio
import importlib.util
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

import conducto as co
from conducto_core.command.output import CLOSE, OPEN
from conducto_core.run.model.states import NodeType
from conducto_core.tree.model import ancestors
from support.local import local_runner

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from conducto_core.run.model.records import AttemptRecord
    from conducto_core.run.model.requests import NodeView
    from support.cloud.emulated import Cloud
    from support.local import Run as LocalRun

pytestmark = [pytest.mark.docker, pytest.mark.cloud]

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"
DATA = "/conducto/data/pipeline"
FRESH = co.ContainerReuseContext.NEW


class Outcome(NamedTuple):
    """All that must not depend on where a pipeline ran."""

    states: Mapping[str, str]
    attempts: Mapping[str, list[tuple[object, ...]]]
    output: Mapping[tuple[str, int, str], bytes]
    files: Mapping[str, bytes]
    times: Mapping[str, tuple[object, ...]]


def grown(root: Any, **children: Any) -> Any:
    for name, child in children.items():
        root[name] = co.Exec(child) if isinstance(child, str) else child
    return root


def small(kind: Any, **options: Any) -> Any:
    return kind(image="busybox:latest", cpu=0.25, mem=0.25, **options)


def hello() -> Any:
    """Return the example, on an existing image."""
    path = EXAMPLES / "hello" / "pipeline.py"
    spec = importlib.util.spec_from_file_location("hello_example", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    root = module.hello()
    root.image = "python:3.13-slim"
    root.cpu, root.mem = 0.25, 0.25
    return root


def cleanup() -> Any:
    """Return tests in parallel, one of which fails, and a step that always runs afterwards."""
    tests = grown(co.Parallel(), good="echo good", bad="echo bad >&2; exit 3", skipped="exit 1")
    tests["skipped"].skip = True
    return grown(
        small(co.Serial, stop_on_error=False),
        tests=tests,
        cleanup=f"echo clean > {DATA}/cleaned; echo cleaned",
    )


def stopped() -> Any:
    """Return a series that stops, one whose error counts for nothing before it."""
    quiet = grown(co.Serial(suppress_errors=True), fails="exit 7", never="echo never")
    return grown(small(co.Serial), quiet=quiet, works="echo works", ends="exit 2", left="echo left")


@cache  # a tree names the calls that made it, which differ between the two targets
def printed() -> str:
    """Return a command that prints a tree."""
    inner = grown(small(co.Parallel), one="echo one", two="echo two")
    return f"echo before; echo '{OPEN.decode()}{inner.serialize()}{CLOSE.decode()}'"


def lazy() -> Any:
    """Return a tree that is printed by a command and runs in its place."""
    return grown(small(co.Serial), lazy=co.Lazy(printed()), last="echo last")


def containers() -> Any:
    """Return a group with a container of its own, and a retry that gets another one."""
    own = grown(
        co.Serial(container_reuse_context=FRESH),
        write="echo mine > /root/state",
        read="cat /root/state; ls /root",
    )
    once = (
        f"echo try; test -e {DATA}/tried || {{ touch {DATA}/tried /root/left; exit 1; }}; ls /root"
    )
    again = co.Exec(once, container_reuse_context=FRESH)
    again.on_error(co.callback.retry(1))
    return grown(small(co.Serial), own=own, again=again, other="ls /root")


def data() -> Any:
    """Return nodes that hand each other files."""
    return grown(
        small(co.Serial),
        make=f"mkdir -p {DATA}/deep; printf 'a\\nb\\n' > {DATA}/deep/lines; echo x > {DATA}/x",
        use=f"wc -l < {DATA}/deep/lines > {DATA}/count; rm {DATA}/x; cat {DATA}/count",
    )


def results() -> Any:
    """Return commands that leave results, metrics and artifacts, and one that uses the results."""
    leave = f"""cd "$CONDUCTO_RUN_DIR"; echo "[$CONDUCTO_ATTEMPT, null]" >result
        echo '{{"name": "loss", "value": NaN}}' >metrics; echo drawn >{DATA}/plot.txt
        echo '{{"name": "plot.txt", "title": "Plot"}}' >artifacts; echo oops >>metrics"""
    root = grown(
        small(co.Serial),
        train=grown(co.Parallel(), a=leave, b='echo 2 >"$CONDUCTO_RUN_DIR/result"'),
    )
    root["use"] = co.Exec('cat "$CONDUCTO_RUN_DIR/inputs"', results=["/train/a", "/train/b"])
    root["none"] = co.Exec("true", results=["/use"])
    return root


PIPELINES = (hello, cleanup, stopped, lazy, containers, data, results)


def said_of(attempt: AttemptRecord) -> tuple[object, ...]:
    fields = (attempt.number, attempt.state, attempt.cause, attempt.exit_code)
    sizes = (attempt.cpu, attempt.mem)
    said = (*map(str, fields), attempt.command, tuple(sorted(attempt.env.items())), *sizes)
    return (*said, attempt.outputs)


def times_of(nodes: Iterable[NodeView]) -> dict[str, tuple[object, ...]]:
    """Return the facts about the times of groups that do not depend on the clock.

    Returns:
        ``{path: (has a start, has an end, in this order, groups in it in the order they began)}``.
    """
    groups = {node.path: node for node in nodes if node.type is not NodeType.EXEC}
    return {path: _times_of(group, groups.values()) for path, group in groups.items()}


def _times_of(group: NodeView, groups: Iterable[NodeView]) -> tuple[object, ...]:
    start, end = group.started, group.ended
    ordered = start is not None and end is not None and start <= end
    inside: list[tuple[float, str]] = []
    if group.type is NodeType.SERIAL:
        inside = sorted(
            (other.started, other.path)
            for other in groups
            if other.started is not None and next(ancestors(other.path), None) == group.path
        )
    return start is not None, end is not None, ordered, tuple(path for _, path in inside)


async def here(tmp_path: Path, make: Callable[[], Any]) -> Outcome:
    """Run a pipeline with the local runner."""
    async with local_runner(tmp_path) as local:
        run = await local.run(make())
        states = await run.states()
        attempts = {path: await run.attempts(path) for path in states}
        return Outcome(
            states,
            {path: [said_of(each) for each in found] for path, found in attempts.items()},
            await _printed(run, attempts),
            {
                str(path.relative_to(run.data)): path.read_bytes()
                for path in run.data.rglob("*")
                if path.is_file()
            },
            times_of((await run.nodes()).values()),
        )


async def _printed(
    run: LocalRun, attempts: Mapping[str, list[AttemptRecord]]
) -> dict[tuple[str, int, str], bytes]:
    return {
        (path, each.number, stream): await run.output(path, stream, each.number)
        for path, found in attempts.items()
        for each in found
        for stream in ("stdout", "stderr")
    }


def there(me: Cloud, make: Callable[[], Any]) -> Outcome:
    """Run a pipeline in the emulated cloud."""
    run = me.run(make())
    states = run.states()
    attempts = {path: run.attempts(path) for path in states}
    (folder,) = me.emulator.containers.folder.glob(f"efs/*/**/{run.id}")
    return Outcome(
        states,
        {path: [said_of(each) for each in found] for path, found in attempts.items()},
        {
            (path, each.number, stream): run.output(path, stream, each.number)
            for path, found in attempts.items()
            for each in found
            for stream in ("stdout", "stderr")
        },
        {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()},
        times_of(me.client.tree(run.id)),
    )


@pytest.mark.parametrize("make", PIPELINES, ids=lambda make: make.__name__)
def test_pipeline_has_equal_results_on_both_targets(
    make: Callable[[], Any], me: Cloud, tmp_path: Path
) -> None:
    cloud = there(me, make)

    local = asyncio.run(here(tmp_path, make))

    assert cloud.states == local.states
    assert cloud.attempts == local.attempts
    assert cloud.output == local.output
    assert cloud.files == local.files
    assert cloud.times == local.times
    assert cloud.times["/"][:3] == (True, True, True)
    assert any(local.output.values())
