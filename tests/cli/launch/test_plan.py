"""`--plan` and `conducto plan`: what a launch would take, printed without AWS."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
from tests.fakes.pipelines import MemoryPipelines
from tests.fakes.transport import InProcessTransport

from conducto.errors import DefinitionError
from conducto_cli.cache.plan import PlannedCache
from conducto_cli.launch.known_runs import (
    EarlierRun,
    Known,
    earlier_runs,
    known_memory,
    known_runs,
    medians,
)
from conducto_cli.launch.plan_command import (
    _estimate,
    launch_price,
    plan_document,
    plan_lines,
    program_plan,
)
from conducto_cli.launch.script import root_and_call
from conducto_cli.main import main
from conducto_client import AgentUnreachableError, Client
from conducto_core.api.cloud_operations import WhoAmI
from conducto_core.api.dispatch import Service
from conducto_core.asl.rules.forecast import estimate
from conducto_core.cache.model import CachePlan
from conducto_core.programs.rules.programs import made_by
from conducto_core.run.model.labels import in_dollars
from conducto_core.run.model.params import ProgramParams
from conducto_core.run.model.records import AttemptRecord, PipelineRecord
from conducto_core.run.model.states import State
from conducto_core.tree.rules.resolve import resolve
from conducto_core.workers.model import WarmPool
from conducto_core.workers.rules.fargate import PRICES, Size
from support.cli_trees import view
from support.trees import form, leaf, parallel, serial

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SCRIPT = """\
import conducto as co

def build() -> co.Serial:
    root = co.Serial(image="busybox")
    root["small"] = co.Exec("true")
    root["odd"] = co.Exec("true", cpu=3, mem=1)
    return root

if __name__ == "__main__":
    co.main(default=build)
"""


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CONDUCTO_BASE_DIR", str(tmp_path / "base"))
    path = tmp_path / "planned_pipeline.py"
    path.write_text(SCRIPT)
    return path


def test_pools_sizes_machines_and_dollars_are_printed_with_the_assumption(
    script: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["plan", str(script)]) == 0

    out = capsys.readouterr().out
    assert "  shared      4 vCPU, 8 GB" in out
    assert "2 Execs, 2 pools of workers, at most 2 workers at once, on demand" in out
    assert "1 state machine, " in out
    assert "vCPU-hours: $" in out
    assert "first command after about 46 s: a worker is requested after 0.5 s; AWS needs" in out
    assert "no earlier run with these parameters is known: each Exec is taken to run 60 s" in out
    assert "/odd: cpu=3 mem=1 runs in a worker of 4 vCPU and 8 GB" in out
    assert "AWS was not asked" in out


def test_an_estimate_for_programs(script: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "--json", "--workers", "3", str(script)]) == 0

    document = json.loads(capsys.readouterr().out)
    parts = ("worker_dollars", "transition_dollars", "request_dollars")
    assert document["dollars"] == pytest.approx(sum(document[part] for part in parts))
    assert all(document[part] > 0 for part in parts)
    assert document["workers"] == 3
    assert document["execs"] == sum(pool["execs"] for pool in document["pools"])
    assert set(document["pools"][0]["size"]) == {"cpu", "mem", "arch", "gpu", "machine", "hour"}


def test_a_script_has_the_flag_as_well(script: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(script), "--plan"], capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    assert "2 Execs, 2 pools of workers" in done.stdout


def test_spot_is_cheaper(script: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def price(*words: str) -> float:
        assert main(["plan", *words, str(script)]) == 0
        return float(capsys.readouterr().out.partition("together $")[2].split()[0])

    assert price("--spot") < price()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["plan", "none.py"], "no such file"),
        (["plan", "--workers", "0", "x.py"], "--workers"),
        (["plan"], "FILE"),
    ],
)
def test_wrong_usage_is_reported(
    words: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2

    assert told in capsys.readouterr().err


def test_a_node_that_is_too_large_for_the_cloud_is_named(
    script: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script.write_text(SCRIPT.replace("cpu=3", "cpu=300"))

    assert main(["plan", str(script)]) == 2

    assert "/odd: cpu=300" in capsys.readouterr().err


def test_durations_are_medians_of_earlier_successes_of_the_same_script() -> None:
    pipelines = MemoryPipelines()
    for number, (program, seconds, state) in enumerate(
        [
            ("/a.py", 10.0, State.DONE),
            ("/a.py", 30.0, State.DONE),
            ("/a.py", 20.0, State.DONE),
            ("/a.py", 900.0, State.ERROR),
            ("/b.py", 900.0, State.DONE),
        ]
    ):
        attempt = AttemptRecord(path="/x", number=1, state=state, started=5.0, ended=5.0 + seconds)
        record = PipelineRecord(id=f"aaa-aa{number}", title="t", program=program)
        nodes = [view("/", "Serial"), view("/x", attempts=(attempt,), state=state)]
        pipelines.add(record.id, nodes, record)

    with InProcessTransport(Service(pipelines)) as transport:
        assert medians(earlier_runs(Client(transport), "/a.py")) == {"/x": 20.0}


def _ran(program: str, **seconds: float) -> MemoryPipelines:
    """Return pipelines of which one launch of a script took so long."""
    pipelines = MemoryPipelines()
    nodes = [view("/", "Serial")]
    for name, each in seconds.items():
        attempt = AttemptRecord(
            path=f"/{name}", number=1, state=State.DONE, started=5.0, ended=5.0 + each
        )
        nodes.append(view(attempt.path, attempts=(attempt,), state=State.DONE))
    pipelines.add("aaa-aaa", nodes, PipelineRecord(id="aaa-aaa", title="t", program=program))
    return pipelines


def test_memory_by_history_is_that_of_the_last_target_that_responds() -> None:
    def away() -> Client:
        raise AgentUnreachableError("no route")

    pipelines = MemoryPipelines()
    attempt = AttemptRecord(path="/x", number=1, state=State.DONE, peak_memory=2**31)
    record = PipelineRecord(id="aaa-aaa", title="t", program="/a.py", function="build")
    nodes = [view("/", "Serial"), view("/x", attempts=(attempt,), state=State.DONE)]
    pipelines.add(record.id, nodes, record)
    query = ProgramParams(program="/a.py", function="build")

    with InProcessTransport(Service(pipelines)) as near:
        known = known_memory(query, [lambda: Client(near), away])
        nothing = known_memory(query, [away])

    assert (known.uses, nothing.uses) == ({"/x": (2.0, 1)}, {})


def test_plan_shows_the_size_of_automatic_memory(
    script: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script.write_text(SCRIPT.replace('image="busybox"', 'image="busybox", mem="auto"'))

    assert main(["plan", str(script)]) == 0

    reason = "no earlier attempt of this program is known: the default"
    assert f"/small: mem='auto' is 2 GB: {reason}" in capsys.readouterr().out


def _account(**more: Any) -> WhoAmI:
    known = {"org": "acme", "user": "ann", "permissions": (), "plan": "free", "version": "1"}
    return WhoAmI(**{**known, **more})


def test_launches_with_other_parameters_give_no_durations(
    script: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = SCRIPT.replace("def build()", "def build(size: int = 1)")
    script.write_text(text + "\ndef other() -> co.Serial:\n    return build()\n")
    made = {}
    for words in ([], ["--size", "1"], ["--size", "9"]):
        made[tuple(words)] = made_by(root_and_call(str(script), ["build", *words])[1])
    other = made_by(root_and_call(str(script), ["other"])[1])
    pipelines = MemoryPipelines()
    attempt = AttemptRecord(path="/x", number=1, state=State.DONE, started=5.0, ended=6.0)
    facts = {"function": "build", "arguments": {"size": "1"}}
    record = PipelineRecord(id="aaa-aaa", title="t", program="/a.py", **facts)
    nodes = [view("/", "Serial"), view("/x", attempts=(attempt,), state=State.DONE)]
    pipelines.add(record.id, nodes, record)

    with InProcessTransport(Service(pipelines)) as near:
        found = {
            words: known_runs("/a.py", [lambda: Client(near)], call).seconds
            for words, call in {**made, ("other",): other}.items()
        }

    assert [words for words, seconds in found.items() if seconds] == [(), ("--size", "1")]


@pytest.mark.parametrize(
    ("tree", "reason"),
    [
        (leaf(cpu=8), "cpu=8 is more than the plan 'free' allows"),
        (leaf(mem=60, cpu=8), "is more than the plan 'free' allows"),
    ],
)
def test_estimate_is_refused_as_the_launch_is(tree: dict[str, Any], reason: str) -> None:
    pipeline = resolve(form(tree))

    assert _estimate(pipeline, Known(), None, 2, spot=False).dollars > 0
    with pytest.raises(DefinitionError, match=reason):
        _estimate(pipeline, Known(), _account(), 2, spot=False)


def test_price_of_the_organisation_is_beside_that_of_aws() -> None:
    found = estimate(resolve(form(leaf())), max_workers=2)
    (pool,) = found.pools
    paying = _account(vcpu_hour=0.6, gb_hour=0.06)
    price = pool.worker_seconds / 3600 * (0.6 * pool.size.cpu + 0.06 * pool.size.mem)

    lines = "\n".join(plan_lines(found, Known(), workers=2, spot=False, account=paying))
    document = plan_document(found, Known(), workers=2, spot=False, account=paying)

    assert f"acme pays {in_dollars(price)}, for workers only" in lines
    assert document["price"] == pytest.approx(price)
    free = plan_document(found, Known(), workers=2, spot=False, account=_account())
    assert free["price"] is None


def test_cloud_history_takes_precedence_over_local_history() -> None:
    here, cloud = _ran("/a.py", x=1.0, y=2.0), _ran("/a.py", x=30.0)
    with (
        InProcessTransport(Service(here)) as near,
        InProcessTransport(Service(cloud)) as far,
    ):
        known = known_runs("/a.py", [lambda: Client(near), lambda: Client(far)])

    assert known.seconds == {"/x": 30.0, "/y": 2.0}
    assert [run.seconds for run in known.runs] == [{"/x": 30.0}]  # the range is that of the cloud


def test_unreachable_target_is_left_out() -> None:
    def away() -> Client:
        raise AgentUnreachableError("no route")

    with InProcessTransport(Service(_ran("/a.py", x=1.0))) as near:
        assert known_runs("/a.py", [lambda: Client(near), away]).seconds == {"/x": 1.0}


@pytest.mark.parametrize(
    ("history", "told"),
    [
        (
            {"/n0": 5.0},
            "durations of 1 of 2 Execs are medians of earlier runs with",
        ),
        ({"/n0": 5.0, "/n1": 5.0}, "durations are medians of earlier runs with these parameters"),
    ],
)
def test_plan_states_the_share_of_known_durations(history: dict[str, float], told: str) -> None:
    pipeline = resolve(form(parallel(leaf(), leaf())))
    names = [path for path, node in pipeline.nodes.items() if node.type.value == "Exec"]
    known = {names[int(key[-1])]: value for key, value in history.items()}

    found = estimate(pipeline, history=known, max_workers=2)
    lines = "\n".join(plan_lines(found, Known(known), workers=2, spot=False))

    assert told in lines


def test_plan_prints_the_range_of_earlier_runs_and_names_them() -> None:
    pipeline = resolve(form(parallel(leaf(), leaf())))
    runs = [EarlierRun(f"aaa-aa{n}", 0.0, {"/n0": n * 600.0, "/n1": 60.0}) for n in (1, 2, 3)]
    known = Known(medians(runs), runs)
    found = estimate(
        pipeline, history=known.seconds, runs=[run.seconds for run in runs], max_workers=2
    )

    (line,) = [
        each for each in plan_lines(found, known, workers=2, spot=False) if "based on" in each
    ]
    assert found.low is not None
    assert found.high is not None
    assert found.low < found.dollars < found.high
    assert f"with the durations of 3 earlier runs: {in_dollars(found.low)} to " in line
    assert "aaa-aa1 (1970-01-01), aaa-aa2" in line


def test_durations_of_a_file_are_used(
    script: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "durations.json"
    file.write_text('{"/odd": 3600}')
    assert main(["plan", "--json", "--durations", str(file), str(script)]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["known"], document["low"]) == (1, None)

    for wrong in ('{"/odd": -1}', "[]", "{"):
        file.write_text(wrong)
        assert main(["plan", "--durations", str(file), str(script)]) == 2
        assert "durations.json" in capsys.readouterr().err


def test_plan_has_the_price_of_workers_that_stay_after_a_run() -> None:
    new = {"container_reuse_context": "new"}
    tree = parallel(leaf(), leaf(mem=4), leaf(mem=32, cpu=4, **new))
    found = estimate(resolve(form(tree)), max_workers=9)
    hour = PRICES.worker_hour(Size(1, 3)) + PRICES.worker_hour(Size(1, 5))
    pool = WarmPool(workers=5, seconds=1200)

    (line,) = [
        each
        for each in plan_lines(found, Known(), workers=9, spot=False, account=_account(warm=pool))
        if "warm" in each
    ]

    assert "up to 2 workers may stay 20 minutes" in line
    assert f"{in_dollars(hour)} an hour, at most {in_dollars(hour / 3)} after each run" in line


def test_a_pipeline_without_commands_costs_next_to_nothing() -> None:
    found = estimate(resolve(form(serial())), max_workers=2)

    assert "0 Execs, 0 pools" in "\n".join(plan_lines(found, Known(), workers=2, spot=False))


def test_unavailable_cloud_features_are_rejected(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script = tmp_path / "p.py"
    script.write_text(
        "import conducto as co\n"
        "def main() -> co.Exec:\n"
        "    return co.Exec('true', image='busybox', gpu=1)\n"
    )

    assert main(["plan", str(script)]) == 2
    assert "gpu=1: Fargate has no GPUs" in capsys.readouterr().err


def test_price_of_a_launch_names_the_budget(script: Path) -> None:
    root, call = root_and_call(str(script), [])
    made = made_by(call)
    assert launch_price(root, str(script), made) == "at most $1.07 by the time limits; budget none"

    root.budget = 5

    assert str(launch_price(root, str(script), made)).endswith("budget $5.00")


@pytest.fixture
def paying(script: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A script, by a person whose organisation pays half as much again as AWS charges."""
    body = _account(vcpu_hour=1.5 * PRICES.cpu_hour, gb_hour=1.5 * PRICES.mem_hour)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            is_known = self.path.endswith("/whoami")
            self.send_response(200 if is_known else 404)
            self.end_headers()
            self.wfile.write(body.model_dump_json().encode() if is_known else b"{}")

        def log_message(self, *_words: object) -> None:
            """Print nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever).start()
        monkeypatch.setenv("CONDUCTO_URL", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setenv("CONDUCTO_TOKEN", "cdo_test")
        yield script
        server.shutdown()


def test_prices_before_a_launch_are_those_of_the_organisation(paying: Path) -> None:
    root, call = root_and_call(str(paying), [])
    made = made_by(call)

    line = str(launch_price(root, None, made))
    plan = program_plan(root, None, made)

    assert "; at AWS's prices at most $1.07, budget none" in line
    assert line.startswith("at most $1.")
    assert not line.startswith("at most $1.07")
    assert plan.price is not None
    assert plan.dollars is not None
    assert plan.price > plan.dollars


@pytest.mark.parametrize("budget", ["0", "-1", "nan", "five"])
def test_flag_of_the_budget_is_checked(script: Path, budget: str) -> None:
    command = [sys.executable, str(script), f"--budget={budget}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 2
    assert f"--budget must be dollars above 0, got '{budget}'" in done.stderr


# ---- the cache ----------------------------------------------------------------------------------


def test_decisions_of_the_cache_are_listed() -> None:
    source = {"pipeline": "abc-def", "path": "/load", "attempt": 1}
    nodes = [
        {"path": "/load", "fate": "cached", "source": source, "seconds": 12.0},
        {"path": "/train", "fate": "runs", "reason": "differs from abc-def: code (train.py)"},
        {"path": "/report", "fate": "depends", "reason": "/train"},
    ]
    plan = CachePlan.model_validate({"nodes": nodes})
    assert list(PlannedCache("local", plan).lines()) == [
        "cache of this machine: 1 of 3 commands from it, which took 12s",
        "  from cache  /load    abc-def /load attempt 1, saves 12s",
        "  runs        /train   differs from abc-def: code (train.py)",
        "  depends     /report  on /train",
    ]


def test_only_trees_with_a_cache_are_looked_up(
    script: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["plan", "--json", str(script)]) == 0
    assert json.loads(capsys.readouterr().out)["cache"] is None
    script.write_text(SCRIPT.replace('"busybox"', '"busybox", cache=True'))
    assert main(["plan", "--json", str(script)]) == 0
    found = json.loads(capsys.readouterr().out)["cache"]
    assert (found["target"], found["nodes"]) == ("local", [])
    assert found["problem"].startswith("no agent runs")
    assert main(["plan", "--cloud", str(script)]) == 0
    assert "cache of the cloud: " in capsys.readouterr().out
