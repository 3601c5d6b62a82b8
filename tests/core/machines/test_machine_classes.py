"""Machine classes: their declaration, their workers, and invalid combinations."""

from __future__ import annotations

import re
from typing import Any

import pytest

import conducto as co
from conducto.errors import DefinitionError
from conducto.tree.launch_form import to_launch_form
from conducto_core.asl.rules.forecast import estimate
from conducto_core.billing.rules import BillingPlan, dollars_of, use_of
from conducto_core.limits.rules import check_execs, validate_nodes
from conducto_core.machines.model import Rung
from conducto_core.machines.rules import (
    FEE,
    MACHINES_PART,
    TYPES,
    classes_in,
    read_machines,
    worker_size,
    written,
)
from conducto_core.run.model.records import AttemptRecord
from conducto_core.run.model.states import State
from conducto_core.tree.model import Pipeline
from conducto_core.tree.rules.provenance import parameters
from conducto_core.tree.rules.resolve import resolve, resolve_generated
from conducto_core.workers.rules.fargate import PRICES
from conducto_core.workers.rules.pools import pool_of

NEW = co.ContainerReuseContext.NEW
PLAN = BillingPlan("full", max_workers=10, max_cpu=96.0)
DECLARED = (
    "gpu=g6.xlarge,g5.12xlarge:spot,ondemand; big=r7i.16xlarge@4.5; arm=r7g.4xlarge;"
    "cheap=m7i.2xlarge:spot"
)


def tree(root: Any, declared: str | None = DECLARED) -> Pipeline:
    form = to_launch_form(root)
    if declared is not None:
        form = {**form, MACHINES_PART: written(read_machines(declared))}
    return resolve(form)


def refused(root: Any, declared: str = DECLARED) -> str:
    with pytest.raises(DefinitionError) as error:
        validate_nodes(tree(root, declared).nodes, PLAN)
    return str(error.value)


# ---- the declaration --------------------------------------------------------------------------


def test_declaration_has_types_prices_and_ways_to_buy() -> None:
    classes = read_machines(DECLARED)

    assert [each.name for each in classes["gpu"].types] == ["g6.xlarge", "g5.12xlarge"]
    assert classes["gpu"].rungs == (Rung.SPOT, Rung.ON_DEMAND)
    assert classes["gpu"].gpus == 4
    assert classes["big"].rungs == (Rung.ON_DEMAND,)
    assert classes["big"].types[0].hour == 4.5
    assert classes["arm"].arch == "arm64"


def test_declaration_is_the_same_after_it_was_stored() -> None:
    classes = read_machines(DECLARED)

    assert classes_in(written(classes)) == classes
    assert read_machines(";".join(each.text for each in classes.values())) == classes


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("gpu", "'gpu': expected CLASS=TYPE"),
        ("GPU=g6.xlarge", "expected CLASS=TYPE"),
        ("gpu=g6.xlrge", "'g6.xlrge' is not a known instance type; did you mean 'g6.xlarge'?"),
        ("gpu=", "'' is not a known instance type"),
        ("gpu=g6.xlarge:spott", "'spott' is not a way to buy machines; use spot, ondemand or both"),
        ("gpu=g6.xlarge:spot,spot", "has an option twice"),
        ("gpu=g6.xlarge,g6.xlarge", "an instance type is named twice"),
        ("a=m7i.large;a=m7i.xlarge", "the class 'a' is declared twice"),
        ("a=m7i.large,m7g.large", "two architectures (m7i.large is x86_64, m7g.large is arm64)"),
        ("a=p5.48xlarge", "the price of p5.48xlarge is not known; add that of your region"),
        ("a=m7i.large@0", "m7i.large@0: expected dollars per hour above 0"),
        ("a=m7i.large@-1", "expected dollars per hour above 0"),
        ("a=m7i.large@nan", "expected dollars per hour above 0"),
        ("a=m7i.large@inf", "expected dollars per hour above 0"),
        (";".join(f"c{n}=m7i.large" for n in range(10)), "10 classes; the maximum is 9"),
    ],
)
def test_invalid_declaration_is_refused_with_a_remedy(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        read_machines(text)


def test_types_have_all_that_their_prices_need() -> None:
    for each in TYPES.values():
        assert each.cpu >= 2
        assert each.mem >= 4
        assert (each.gpu > 0) == (each.name[0] in "gp")


# ---- workers of a class -----------------------------------------------------------------------


def test_worker_has_the_cheapest_type_that_is_large_enough() -> None:
    root = co.Parallel(image="busybox", machine="gpu")
    root["small"] = co.Exec("true", gpu=1)
    root["large"] = co.Exec("true", gpu=4, cpu=40)
    nodes = tree(root).nodes

    small, large = (worker_size(path, nodes[path].placement) for path in ("/small", "/large"))

    assert (small.machine, small.cpu, small.gpu) == ("g6.xlarge", 4, 1)
    assert large.machine == "g5.12xlarge"
    assert PRICES.worker_hour(small) == pytest.approx(0.8048 * (1 + FEE))
    assert PRICES.worker_hour(small, spot=True) == pytest.approx(0.8048 * (1 + FEE) * PRICES.spot)


def test_pool_and_plan_have_the_size_and_the_price_of_the_class() -> None:
    pipeline = tree(co.Exec("true", image="busybox", machine="big", cpu=2))
    pool = pool_of(pipeline.root, "abc-def", ())

    assert pool.size.machine == "r7i.16xlarge"
    hour = 4.5 * (1 + FEE)
    found = estimate(pipeline, history={"/": 3600.0}, runs=[], max_workers=1)
    assert found.pools[0].size.machine == "r7i.16xlarge"
    assert found.pools[0].dollars == pytest.approx(hour, rel=0.05)
    attempt = AttemptRecord(
        path="/", number=1, state=State.DONE, started=0.0, ended=3600.0, cpu=64, mem=400, hour=hour
    )
    assert use_of(attempt).dollars == pytest.approx(dollars_of(pool.size, 3600.0))


def test_commands_of_two_classes_have_two_pools() -> None:
    root = co.Parallel(image="busybox")
    root["a"], root["b"] = co.Exec("true", machine="big"), co.Exec("true")
    root["c"] = co.Exec("true", machine="gpu")
    nodes = tree(root).nodes

    assert len({pool_of(nodes[path], "abc-def", ()).name for path in ("/a", "/b", "/c")}) == 3


def test_generated_tree_uses_the_classes_of_its_pipeline() -> None:
    root = co.Serial(image="busybox")
    root["lazy"] = co.Lazy("make")
    pipeline = tree(root)
    (target,) = [node.path for node in pipeline.nodes.values() if node.awaits_tree]
    form = to_launch_form(co.Exec("true", image="busybox", machine="gpu"))

    grown = resolve_generated(form, target, pipeline)

    (found,) = [n.placement.machine for n in grown.nodes.values() if n.command]
    assert found is not None
    assert found.is_declared


def test_source_of_a_class_is_shown() -> None:
    root = co.Serial(image="busybox", machine="big")
    root["a"] = co.Exec("true")
    nodes = tree(root).nodes

    found = {each.name: each for each in parameters((nodes["/a"], nodes["/"]))}

    assert (found["machine"].value, found["machine"].source) == ("big", "/")


def test_locally_any_class_is_accepted() -> None:
    pipeline = tree(co.Exec("true", image="busybox", machine="whatever", gpu=1), None)

    assert pipeline.root.placement.machine is not None
    assert not pipeline.root.placement.machine.is_declared


# ---- refusals ---------------------------------------------------------------------------------


def test_client_that_does_not_know_the_classes_leaves_sizes_to_the_server() -> None:
    pipeline = resolve(to_launch_form(co.Exec("true", image="busybox", machine="big", cpu=64)))

    check_execs(pipeline.execs())


def test_class_that_does_not_exist_is_refused_with_the_nearest() -> None:
    said = refused(co.Exec("true", image="busybox", machine="gpus"))

    assert said.startswith(
        "/: machine='gpus' is not a machine class of the installation; did you mean 'gpu'?"
    )


def test_installation_without_classes_says_how_to_declare_one() -> None:
    said = refused(co.Exec("true", image="busybox", machine="gpu"), "")

    assert "the installation declares no machine classes" in said
    assert "conducto deploy -c machines='gpu=g6.xlarge'" in said


def test_gpu_on_fargate_is_refused_with_the_remedy() -> None:
    said = refused(co.Exec("true", image="busybox", gpu=1))

    assert "gpu=1: Fargate has no GPUs; name a machine class that has GPUs" in said


@pytest.mark.parametrize(
    "size", [{"cpu": 80}, {"mem": 500}, {"gpu": 1}, {"cpu": 64, "mem": 470, "gpu": 1}]
)
def test_size_that_no_type_has_is_refused(size: dict[str, Any]) -> None:
    said = refused(co.Exec("true", image="busybox", machine="big", **size))

    assert "are more than any type of machine='big' has: r7i.16xlarge has 64 vCPUs" in said


@pytest.mark.parametrize(
    ("gpus", "said"),
    [
        (5, "g5.12xlarge has 48 vCPUs, 172.6 usable GB and 4 GPUs; ask for less, or for another "),
        (8, "; an administrator can add g6.48xlarge to it"),
        (16, "4 GPUs; ask for less, or for another class"),
    ],
)
def test_gpus_that_no_type_of_a_class_has_are_refused_with_the_nearest(
    gpus: int, said: str
) -> None:
    assert said in refused(co.Exec("true", image="busybox", machine="gpu", gpu=gpus))


@pytest.mark.parametrize(
    ("gpus", "name"), [(1, "g6.xlarge"), (3, "g5.12xlarge"), (4, "g5.12xlarge")]
)
def test_gpus_are_those_of_the_smallest_type_that_has_them(gpus: int, name: str) -> None:
    pipeline = tree(co.Exec("true", image="busybox", machine="gpu", gpu=gpus))

    assert worker_size("/", pipeline.root.placement).machine == name


def test_two_classes_in_one_container_are_refused() -> None:
    root = co.Serial(image="busybox", container_reuse_context=NEW)
    root["a"], root["b"] = co.Exec("true"), co.Exec("true", machine="big")

    with pytest.raises(DefinitionError, match=r"^/b: machine='big' differs from machine=None"):
        tree(root)


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"machine": "arm"}, "machine='arm' has arm64 processors, but arch is 'x86_64'; set arch="),
        ({"machine": "big", "arch": "arm64"}, "machine='big' has x86_64 processors"),
        ({"machine": "big", "spot": "only"}, "spot='only': machine='big' is not declared for Spot"),
        ({"machine": "cheap", "spot": False}, "machine='cheap' is declared for Spot only"),
    ],
)
def test_class_that_contradicts_another_parameter_is_refused(
    parameters: dict[str, Any], said: str
) -> None:
    assert said in refused(co.Exec("true", image="busybox", **parameters))


def test_group_that_keeps_its_container_does_not_run_on_spot_only() -> None:
    root = co.Serial(image="busybox", machine="cheap", container_reuse_context=NEW)
    root["a"] = co.Exec("true")

    assert "container_reuse_context=NEW keeps its container" in refused(root)


@pytest.mark.parametrize("value", ["", "GPU", "a b", 3, True, "x" * 25, "-a"])
def test_invalid_name_of_a_class_is_refused(value: object) -> None:
    with pytest.raises((ValueError, DefinitionError), match="machine must be the name of"):
        tree(co.Exec("true", image="busybox", machine=value))  # type: ignore[arg-type]
