"""Services: their form, inheritance and sizes, their output, and the checks of a tree."""

from __future__ import annotations

from typing import Any

import pytest

import conducto as co
from conducto.errors import DefinitionError
from conducto.tree.launch_form import to_launch_form
from conducto.wire.services import of_form, to_form
from conducto_core.asl.rules.naming import pool_name
from conducto_core.billing.rules import BillingPlan
from conducto_core.command.masking import Mask
from conducto_core.limits.rules import validate_nodes
from conducto_core.services import rules
from conducto_core.tree.model import NodeSpec
from conducto_core.tree.rules.checks import Limits, check_size
from conducto_core.tree.rules.resolve import resolve
from conducto_core.workers.rules.pools import pool_of

DB = co.Service("postgres:16", env={"B": "2", "A": "1"}, ready="pg_isready", port=5432)
CACHE = co.Service("redis:7", ready=["redis-cli", "ping"], command=["redis-server"], port=6379)


def nodes_of(root: Any) -> dict[str, NodeSpec]:
    return resolve(to_launch_form(root)).nodes


def spec_of(**services: Any) -> NodeSpec:
    return nodes_of(co.Exec("true", image="x", services=services))["/"]


def test_services_are_inherited_replaced_and_removed() -> None:
    root = co.Parallel(image="x", services={"db": DB})
    root["both"] = co.Exec("true", services={"cache": CACHE})
    root["other"] = co.Exec("true", services={"db": CACHE})
    root["none"] = co.Exec("true", services={"db": None})
    root["same"] = co.Exec("true")
    found = {path: node.placement.services for path, node in nodes_of(root).items()}
    assert found["/both"] == (DB.named("db"), CACHE.named("cache"))
    assert found["/other"] == (CACHE.named("db"),)
    assert found["/none"] == ()
    assert found["/same"] == (DB.named("db"),)
    assert of_form(to_form(found["/both"])) == found["/both"]


def test_a_tree_without_services_has_the_form_and_pool_of_earlier_versions() -> None:
    root = co.Serial(image="x")
    root["a"] = co.Exec("true")
    form = to_launch_form(root)
    assert not any("services" in node for node in form["nodes"])
    plain = resolve(form).nodes["/a"]
    assert plain.placement.services == ()
    names = {pool_name(each) for each in (plain, spec_of(db=DB), spec_of(db=CACHE))}
    assert len(names) == len((plain, DB, CACHE))


def test_services_count_for_the_machine_the_plan_and_the_price() -> None:
    spec = spec_of(db=co.Service("x", cpu=3, mem=6))
    pool = pool_of(spec, "p", ())
    assert (pool.cpu, pool.mem) == (4.0, 8.0)
    with pytest.raises(DefinitionError, match="cpu=4 with its services can never fit"):
        check_size(spec, Limits(2, 64, 0))
    plan = BillingPlan("small", max_workers=1, max_cpu=2)
    with pytest.raises(DefinitionError, match="cpu=4 with its services is more than the plan"):
        validate_nodes({"/": spec}, plan)


@pytest.mark.parametrize(
    ("services", "about"),
    [
        ("postgres", "services must be"),
        ({"DB": DB}, "name of a service is a host name"),
        ({"a_b": DB}, "name of a service is a host name"),
        ({"db": "postgres:16"}, "services must be"),
        ({"db": {"image": "x", "ports": 1}}, "service 'db': .*unexpected keyword"),
        ({"db": {"image": "x", "port": 0}}, "port of a service must be a number from 1 to 65535"),
        ({"db": {"image": "a b"}}, "image of a service is a reference"),
        ({"db": {"image": "x", "env": {"1": "x"}}}, "not an identifier"),
        ({"db": {"image": "x", "env": {"A": 1}}}, "int in env value"),
        ({"db": {"image": "x", "ready": " "}}, "ready of a service is an empty text"),
        ({"db": {"image": "x", "command": "a b"}}, "command of a service must be a list"),
        ({"db": {"image": "x", "ready_timeout": "1h"}}, "ready_timeout of a service is at most"),
        ({"db": {"image": "x", "mem": 0}}, "mem"),
        ({"db": {"image": "x", "secrets": ["1"]}}, "cannot be the name of a secret"),
        ({f"s{n}": {"image": "x"} for n in range(9)}, "the maximum is 8"),
    ],
)
def test_invalid_services_are_an_error(services: Any, about: str) -> None:
    form = to_launch_form(co.Exec("a", image="x"))
    form["nodes"][0]["services"] = services
    with pytest.raises(DefinitionError, match=about):
        resolve(form)


def test_commands_of_one_container_have_the_same_services() -> None:
    root = co.Serial(image="x", container_reuse_context=co.ContainerReuseContext.NEW)
    root["a"], root["b"] = co.Exec("a", services={"db": DB}), co.Exec("b")
    with pytest.raises(DefinitionError, match=r"/b: services=\(\) differs .* of /a"):
        nodes_of(root)


def test_the_cloud_refuses_equal_ports_and_secrets() -> None:
    plan = BillingPlan("large", max_workers=9, max_cpu=16)
    cases = (
        ({"a": DB, "b": DB}, "services 'a' and 'b' both have port 5432"),
        ({"a": co.Service("x", secrets=["TOKEN"])}, "service 'a': secrets= is not available"),
    )
    for services, about in cases:
        with pytest.raises(DefinitionError, match=about):
            validate_nodes({"/": spec_of(**services)}, plan)


def test_equal_ports_are_a_warning_on_a_machine() -> None:
    warning = rules.port_warning(spec_of(a=DB, b=DB).placement.services)
    assert warning is not None
    assert "services 'a' and 'b' both have port 5432" in warning
    assert rules.port_warning(spec_of(a=DB, b=CACHE).placement.services) is None


def test_output_is_kept_as_masked_lines_of_each_service() -> None:
    lines = rules.OutputLines(Mask(["secret"]))
    parts = [
        lines.feed("db", b"one\ntw"),
        lines.feed("queue", b"x\n"),
        lines.feed("db", b"o secret"),
    ]
    text = b"".join([*parts, lines.finish()]).decode()
    assert text.splitlines()[:2] == ["db | one", "queue | x"]
    assert "secret" not in text
    assert rules.lines_of(text, "queue") == "x\n"
    assert rules.lines_of(text, None) == text


def test_output_beyond_the_maximum_is_dropped() -> None:
    lines = rules.OutputLines(Mask(()))
    size = sum(len(lines.feed("db", b"x" * 1000 + b"\n")) for _ in range(20_000))
    assert rules.MAX_OUTPUT < size < rules.MAX_OUTPUT + 2000


def test_the_agent_of_a_worker_learns_no_environment() -> None:
    text = rules.to_agent(spec_of(db=DB).placement.services)
    assert "env" not in text
    (found,) = rules.of_agent(text)
    assert (found.name, found.image, found.ready, found.port) == (
        "db",
        DB.image,
        DB.ready,
        DB.port,
    )
