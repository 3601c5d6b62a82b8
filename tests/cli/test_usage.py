"""`conducto usage`: costs computed from attempts and the price table."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest
from tests.fakes.pipelines import MemoryPipelines
from tests.fakes.transport import InProcessTransport

from conducto_cli.billing.usage_command import _cost_lines, _lines
from conducto_cli.main import main
from conducto_client import Client
from conducto_core.api.dispatch import Service
from conducto_core.billing.handlers import cost_of, is_requested, usage_of, with_prices
from conducto_core.billing.model import MAX_USAGE_PIPELINES, MONTHS, UsageParams
from conducto_core.billing.rules import Rates, use_of
from conducto_core.run.model.labels import in_dollars
from conducto_core.run.model.records import AttemptRecord, PipelineRecord
from conducto_core.run.model.states import State
from conducto_core.workers.rules.fargate import PRICES, Size
from support.cli_trees import view

NOVEMBER = 1_794_000_000.0  # 2026-11-06
OCTOBER = NOVEMBER - 20 * 86_400


def attempt(path: str, started: float, seconds: float, *, cpu: float = 1.0) -> AttemptRecord:
    return AttemptRecord(
        path=path,
        number=1,
        state=State.DONE,
        cpu=cpu,
        mem=2.0,
        started=started,
        ended=started + seconds,
    )


def test_billed_usage_has_the_price_of_the_organisation_beside_that_of_aws() -> None:
    record = PipelineRecord(id="aaa-aaa", title="t", mode="cloud")
    own = (attempt("/x", NOVEMBER, 3600.0), attempt("/y", NOVEMBER, 1800.0, cpu=2.0))
    query = UsageParams(nodes=9)
    plain = usage_of([(record, own)], query)
    rates = Rates(vcpu=0.6, gb=0.06)
    found = with_prices(plain, rates)

    one, two = 0.6 + 3 * 0.06, (2 * 0.6 + 4 * 0.06) / 2  # the sizes of workers in GB: 3 and 4
    assert found.months[0].price == pytest.approx(one + two)
    assert found.pipelines[0].price == pytest.approx(one + two)
    assert found.programs[0].price == pytest.approx(one + two)
    assert sorted(node.price or 0.0 for node in found.pipelines[0].nodes) == pytest.approx(
        sorted([one, two])
    )
    assert found.months[0].dollars == plain.months[0].dollars
    lines = "\n".join(_lines(found, None))
    assert f"{in_dollars(one + two)}  {in_dollars(found.months[0].total_dollars)}" in lines
    assert "PRICE is what the organisation pays" in lines
    assert "PRICE" not in "\n".join(_lines(with_prices(plain, None), None))

    cost = with_prices(cost_of(record, own, 9), rates)
    assert cost.price == pytest.approx(one + two)
    assert any("price for the organisation" in line for line in _cost_lines(cost))


@pytest.fixture
def pipelines() -> MemoryPipelines:
    return MemoryPipelines()


@pytest.fixture
def conducto(pipelines: MemoryPipelines) -> Iterator[Callable[..., int]]:
    with InProcessTransport(Service(pipelines)) as transport:
        yield lambda *words: main(words, lambda _profile: lambda: Client(transport))


def add(pipelines: MemoryPipelines, pipeline_id: str, mode: str, *attempts: AttemptRecord) -> None:
    by_path = {a.path: tuple(b for b in attempts if b.path == a.path) for a in attempts}
    nodes = [view("/", "Serial"), *(view(path, attempts=own) for path, own in by_path.items())]
    record = PipelineRecord(id=pipeline_id, title=f"title of {pipeline_id}", mode=mode)
    pipelines.add(pipeline_id, nodes, record)


def test_an_hour_of_a_default_node_costs_an_hour_of_its_worker() -> None:
    use = use_of(attempt("/x", 0.0, 3600.0))

    assert use.dollars == pytest.approx(PRICES.worker_hour(Size(1.0, 3.0)))
    assert use.cpu_seconds == 3600.0


def test_unstarted_nodes_cost_nothing() -> None:
    assert use_of(AttemptRecord(path="/x", number=1, state=State.KILLED, ended=3.0)).attempts == 0


def test_months_and_pipelines_are_listed_the_newest_and_dearest_first(
    pipelines: MemoryPipelines, conducto: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    add(pipelines, "aaa-aaa", "cloud", attempt("/x", OCTOBER, 60), attempt("/x", NOVEMBER, 60))
    add(pipelines, "bbb-bbb", "cloud", attempt("/y", NOVEMBER, 7200))
    add(pipelines, "ccc-ccc", "local", attempt("/z", NOVEMBER, 9999))

    assert conducto("usage") == 0

    out = capsys.readouterr().out
    rows = [line.split()[:2] for line in out.splitlines() if line[:4].isdigit()]
    assert rows == [
        ["2026-11", "3"],
        ["2026-10", "1"],
        ["2026-11", "title"],  # each pipeline is a program of its own
        ["2026-11", "title"],
        ["2026-11", "title"],
        ["2026-10", "title"],
        ["2026-11", "bbb-bbb"],
        ["2026-11", "aaa-aaa"],
        ["2026-11", "ccc-ccc"],
        ["2026-10", "aaa-aaa"],
    ]
    (own,) = [line for line in out.splitlines() if line.split()[1:2] == ["ccc-ccc"]]
    assert "$0.00" in own  # it ran on somebody's own machine
    assert f"prices of {PRICES.date} in {PRICES.region}" in out


def test_a_node_of_this_machine_may_be_larger_than_the_cloud_has(
    pipelines: MemoryPipelines, conducto: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    add(pipelines, "aaa-aaa", "local", attempt("/x", NOVEMBER, 3600, cpu=64.0))

    assert conducto("usage", "--json") == 0

    (own,) = json.loads(capsys.readouterr().out)["pipelines"]
    assert (own["cpu_seconds"], own["dollars"]) == (64 * 3600.0, 0.0)


def test_local_usage_has_the_same_limits_as_cloud_usage() -> None:
    month = 30.5 * 86_400
    pipelines = [
        (
            PipelineRecord(id=f"id-{n:02}", title="", mode="local"),
            [attempt("/x", NOVEMBER - n, 60.0 + n)],
        )
        for n in range(MAX_USAGE_PIPELINES + 1)
    ]
    old = [attempt("/x", NOVEMBER - n * month, 1.0) for n in range(1, MONTHS + 1)]
    pipelines.append((PipelineRecord(id="old", title="", mode="local"), old))

    found = usage_of(pipelines, UsageParams(nodes=5))

    assert [m.month for m in found.months][:: MONTHS - 1] == ["2026-11", "2025-12"]
    named = [spent.id for spent in found.pipelines if spent.nodes]
    assert named == [f"id-{n:02}" for n in range(MAX_USAGE_PIPELINES, 0, -1)]


def test_usage_of_one_program_is_by_script_and_function_or_by_title() -> None:
    named = PipelineRecord(id="aaa-aaa", title="t 1", mode="local", program="/p.py", function="f")
    titled = PipelineRecord(id="bbb-bbb", title="t", mode="local", program="/p.py")
    other = PipelineRecord(id="ccc-ccc", title="t", mode="local", program="/p.py", function="g")

    def ids(query: UsageParams) -> list[str]:
        return [one.id for one in (named, titled, other) if is_requested(one, query)]

    assert ids(UsageParams()) == ["aaa-aaa", "bbb-bbb", "ccc-ccc"]
    assert ids(UsageParams(program="/p.py", function="f")) == ["aaa-aaa"]
    assert ids(UsageParams(title="t", program="/p.py")) == ["bbb-bbb", "ccc-ccc"]
    assert ids(UsageParams(function="f")) == []


def test_a_month_names_the_dearest_nodes(
    pipelines: MemoryPipelines, conducto: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    attempts = [attempt(f"/n{n}", NOVEMBER, 60.0 * (n + 1)) for n in range(7)]
    add(pipelines, "aaa-aaa", "cloud", attempt("/old", OCTOBER, 9999), *attempts)

    assert conducto("usage", "--month", "2026-11") == 0

    out = capsys.readouterr().out
    named = [line.split()[0] for line in out.splitlines() if line.startswith("  /")]
    assert named == ["/n6", "/n5", "/n4", "/n3", "/n2"]
    assert "  and 2 more nodes, workers that started, waited or were lost: $0.0" in out
    assert "/old" not in out


def test_programs_get_everything(
    pipelines: MemoryPipelines, conducto: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    add(pipelines, "aaa-aaa", "cloud", attempt("/x", NOVEMBER, 60))

    assert conducto("usage", "--json") == 0

    document = json.loads(capsys.readouterr().out)
    assert document["months"]["2026-11"]["seconds"] == 60.0
    assert document["pipelines"][0]["nodes"]["/x"]["attempts"] == 1
    assert document["prices"] == {"date": PRICES.date, "region": PRICES.region}


def test_empty_usage_is_reported(
    conducto: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert conducto("usage") == 0
    assert capsys.readouterr().out == "nothing ran yet\n"
    assert conducto("usage", "--month", "2026-01") == 0
    assert capsys.readouterr().out == "nothing ran in 2026-01\n"


def test_invalid_month_is_a_usage_error(conducto: Callable[..., int]) -> None:
    assert conducto("usage", "--month", "2026-13") == 2


def test_cost_of_a_pipeline_names_nodes_and_other_lines(
    pipelines: MemoryPipelines, conducto: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    attempts = [attempt(f"/n{n}", NOVEMBER, 3600.0 * (n + 1)) for n in range(12)]
    add(pipelines, "aaa-aaa", "cloud", *attempts)
    add(pipelines, "bbb-bbb", "local", attempt("/x", NOVEMBER, 60))

    assert conducto("usage", "aaa-aaa") == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["/n11", "1", "12h", "00m", "12.00", "$0.7058"] in rows
    assert ["idle", "workers", "$0.00"] in rows
    assert rows[-3][0] == "together"

    assert conducto("usage", "aaa-aaa", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert len(document["nodes"]) == 12
    assert conducto("usage", "bbb-bbb") == 0
    own = capsys.readouterr().out.splitlines()
    assert own[-1] == "commands on your own machine are free"
    assert conducto("usage", "aaa-aaa", "--month", "2026-11") == 2
