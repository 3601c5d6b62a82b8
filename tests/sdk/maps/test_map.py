"""Maps: trees over a list, and over a result that is known later."""

import base64
import dataclasses
import gzip
import json
import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import conducto as co
from conducto.errors import DefinitionError
from conducto.maps.expand import expand
from conducto.tools import map_items
from conducto.tree.launch_form import to_launch_form
from conducto.tree.serialize import CLOSE, OPEN
from conducto.wire.maps import MapOptions
from conducto_core.tree.model import Pipeline
from conducto_core.tree.rules.resolve import resolve


@dataclasses.dataclass
class Region:
    country: str
    size: int = 1


def plan(day: str) -> list[Region]:
    return [Region(day)]


def score(region: Region, factor: float = 1.0) -> float:
    return region.size * factor


def best(scores: list[float]) -> float:
    return max(scores)


def grow(region: Region) -> co.Parallel:
    return co.Parallel(doc=region.country)


def root_with(**nodes: Any) -> co.Serial:
    root = co.Serial(image=co.Image(copy_dir="."))
    for name, node in nodes.items():
        root[name] = node
    return root


def resolved(root: co.Node) -> Pipeline:
    return resolve(to_launch_form(root))


def command(pipeline: Pipeline, path: str) -> str:
    return pipeline.nodes[path].command.partition(":endpath__ ")[2]


REGIONS = [Region("DE", 2), Region("a/b")]


def test_list_gives_a_command_for_each_item() -> None:
    scores = co.map(score, REGIONS, name="{item.country}", fixed={"factor": 2.0}, max_concurrent=5)
    root = root_with(scores=scores, best=co.Exec(best, scores.results))

    pipeline = resolved(root)

    assert isinstance(scores, co.Parallel)
    assert pipeline.nodes["/scores"].children == ("DE", "a\u2215b")
    assert pipeline.nodes["/scores"].max_concurrent == 5
    assert pipeline.nodes["/scores"].map == MapOptions()
    assert command(pipeline, "/scores/DE") == (
        """score '--region={"country": "DE", "size": 2}' --factor=2.0"""
    )
    assert command(pipeline, "/best") == "best '--scores=<result of /scores>'"
    assert pipeline.nodes["/best"].results == ("/scores",)


def test_map_survives_serialization() -> None:
    root = root_with(scores=co.map(score, REGIONS, min_done=0.5, missing="drop", name="{index}"))

    again = co.Node.deserialize(root.serialize())

    assert again["scores"].map_options == MapOptions(0.5, "drop")


def test_parameters_are_those_of_each_command() -> None:
    params = co.Params(cpu=2, env={"A": "1"}, max_time="1h", retry=co.retry(2))

    pipeline = resolved(root_with(m=co.map(score, REGIONS, name="{index}", params=params)))

    child = pipeline.nodes["/m/0"]
    assert (child.placement.cpu, child.env, child.max_time) == (2, {"A": "1"}, 3600)
    assert child.retry is not None
    assert pipeline.nodes["/m"].max_time is None


def test_empty_list_gives_an_empty_group() -> None:
    scores = co.map(score, [])

    assert resolved(root_with(m=scores, b=co.Exec(best, scores.results))).nodes["/m"].children == ()


@pytest.mark.parametrize(
    ("make", "error", "reason"),
    [
        (lambda: co.map(score, REGIONS, name="{item.x}"), ValueError, "item 0 has no item.x"),
        (lambda: co.map(score, [1]), TypeError, "item 0: Argument region=1"),
        (lambda: co.map(score, [object()]), TypeError, "item 0: .* has no JSON form"),
        (lambda: co.map(score, "text"), TypeError, "over must be a list or a result, got 'text'"),
        (lambda: co.map(score, co.Exec(plan, "x")), TypeError, r"write \.result"),
        (lambda: co.map(score, [], min_done=2), ValueError, "from 0 to 1, such as 0.95, got 2"),
        (lambda: co.map(score, [], min_done="1"), ValueError, "min_done must be a share"),
        (lambda: co.map(score, [], missing="skip"), ValueError, "missing must be"),
        (lambda: co.map(score, [], fixed={"faktor": 1}), TypeError, "is not a parameter of score"),
        (
            lambda: co.map(score, [], fixed={"region": 1, "factor": 1}),
            TypeError,
            "score has no parameter for the item",
        ),
        (lambda: co.map(score, [], params=co.Params(name="x")), TypeError, "template of the names"),
        (lambda: co.map(grow, [], min_done=0.5), ValueError, "grow returns a tree"),
        (lambda: co.map(grow, []).results, TypeError, "its items are trees"),
    ],
)
def test_invalid_maps_are_rejected(
    make: Callable[[], object], error: type[Exception], reason: str
) -> None:
    with pytest.raises(error, match=reason):
        make()


def test_results_of_a_map_that_may_lack_some_need_a_choice() -> None:
    scores = co.map(score, REGIONS, name="{index}", min_done=0.95)
    root = root_with(scores=scores, best=co.Exec(best, scores.results))

    with pytest.raises(DefinitionError, match=r"because of min_done=0.95; give the map missing="):
        root.pretty(strict=False)
    with pytest.raises(DefinitionError, match=r"because of min_done=0.95; give the map missing="):
        resolved(root)


def test_a_part_of_a_map_cannot_use_its_results() -> None:
    scores = co.map(score, REGIONS, name="{index}")
    scores["0"].results = [scores.results]

    with pytest.raises(DefinitionError, match="of which it is a part"):
        resolved(root_with(scores=scores))


def test_items_of_a_map_are_commands() -> None:
    scores = co.map(score, REGIONS, name="{index}")
    scores["extra"] = co.Serial()

    with pytest.raises(DefinitionError, match="/scores/extra: is an item of the map /scores"):
        resolved(root_with(scores=scores))


# ---- over a result -------------------------------------------------------------------------


def later(**options: Any) -> co.Serial:
    step = co.Exec(plan, "x")
    return root_with(plan=step, m=co.map(score, step.result, **options))


def document(root: co.Node) -> dict[str, Any]:
    """Return the last word of the command that expands the map."""
    found: dict[str, Any] = json.loads(shlex.split(command(resolved(root), "/m/Generate"))[-1])
    return found


def test_result_gives_a_lazy_with_a_command_that_expands_it() -> None:
    root = later(name="{item.country}", fixed={"factor": 2.0}, params=co.Params(cpu=2))
    pipeline = resolved(root)

    assert list(pipeline.nodes) == ["/", "/plan", "/m", "/m/Generate", "/m/Execute"]
    assert pipeline.nodes["/m/Generate"].command.startswith("conducto map-items ")
    assert pipeline.nodes["/m/Generate"].results == ("/plan",)
    assert pipeline.nodes["/m/Generate"].placement.cpu == 1
    assert pipeline.nodes["/m/Execute"].awaits_tree
    assert document(root) == {
        "over": "<result of /plan>",
        "name": "{item.country}",
        "fixed": {"factor": 2.0},
        "params": {"cpu": 2},
    }


def test_image_and_environment_are_those_of_the_expansion_too() -> None:
    params = co.Params(image="python:3.12-slim", env={"A": "1"}, gpu=1)

    pipeline = resolved(later(params=params))

    generate = pipeline.nodes["/m/Generate"]
    assert generate.env == {"A": "1"}
    assert generate.placement.image == pipeline.nodes["/m/Execute"].placement.image
    assert generate.placement.image != pipeline.root.placement.image
    assert generate.placement.gpu == 0


def unpacked(printed: str) -> dict[str, Any]:
    body = printed.partition(OPEN)[2].partition(CLOSE)[0]
    found: dict[str, Any] = json.loads(gzip.decompress(base64.b64decode(body)))
    return found


@pytest.fixture
def given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Any], None]]:
    """Return a function that sets the result of ``/plan`` for a command."""
    monkeypatch.setenv("CONDUCTO_RUN_DIR", str(tmp_path))
    monkeypatch.setenv("__RUN_BY_WORKER__", "1")

    def give(value: Any) -> None:
        (tmp_path / "inputs").write_text(json.dumps({"/plan": value, "/factor": 3}))

    return give


def test_expansion_equals_the_map_over_the_list(given: Callable[[Any], None]) -> None:
    given([{"country": "DE", "size": 2}, {"country": "a/b"}])
    options: dict[str, Any] = {
        "name": "{item.country}",
        "fixed": {"factor": 2.0},
        "params": co.Params(cpu=2, max_time="1h", retry=co.retry(2), env={"A": "1"}),
        "max_concurrent": 3,
        "min_done": 0.5,
        "missing": "none",
    }
    root = later(**options)

    made = expand(score, document(root))

    expected = resolved(root_with(m=co.map(score, REGIONS, **options))).nodes
    found = resolved(root_with(m=made)).nodes
    assert list(found) == list(expected)
    for path in ("/m/DE", "/m/a\u2215b"):
        assert found[path].command == expected[path].command
        assert found[path].placement == expected[path].placement
        assert (found[path].max_time, found[path].retry) == (3600, expected[path].retry)
        assert (found[path].file, found[path].line is None) == (__file__, False)
    assert (found["/m"].map, found["/m"].max_concurrent) == (MapOptions(0.5, "none"), 3)


def test_fixed_results_remain_references(given: Callable[[Any], None]) -> None:
    given([{"country": "DE"}])
    step, factor = co.Exec(plan, "x"), co.Exec(best, [1.0])
    root = root_with(
        plan=step, factor=factor, m=co.map(score, step.result, fixed={"factor": factor.result})
    )

    made = expand(score, document(root))

    (child,) = made.children.values()
    assert resolved(root).nodes["/m/Generate"].results == ("/plan", "/factor")
    assert child.results == ("/factor",)
    assert "'--factor=<result of /factor>'" in made.pretty(strict=False)


def test_items_may_be_trees(given: Callable[[Any], None]) -> None:
    given([{"country": "DE"}])
    step = co.Exec(plan, "x")
    params = co.Params(cpu=2)
    root = root_with(plan=step, m=co.map(grow, step.result, name="{index}", params=params))

    made = expand(grow, document(root))

    assert [str(node) for node in made.stream()] == ["/", "/0", "/0/Generate", "/0/Execute"]
    assert made["0/Generate"].cpu == 2
    assert resolved(root).nodes["/m"].map is None


@pytest.mark.parametrize(
    ("value", "options", "reason"),
    [
        ([{"country": "DE"}, {}], {}, "item 1 for region: .*country"),
        ([{"country": "DE"}, {"country": "DE"}], {"name": "{item.country}"}, "items 0 and 1 both"),
        ([{"country": "DE"}], {"name": "{item.size}"}, "item 0 has no item.size"),
        ({"a": 1}, {}, "the result of /plan is dict, but a map needs a list"),
    ],
)
def test_reason_why_there_is_no_tree_is_printed_in_its_place(
    given: Callable[[Any], None],
    capfd: pytest.CaptureFixture[str],
    value: Any,
    options: dict[str, Any],
    reason: str,
) -> None:
    given(value)

    code = map_items.run("map-items", [__file__, "score", json.dumps(document(later(**options)))])

    printed = capfd.readouterr().out
    assert code == 0
    error = unpacked(printed)["error"]
    assert re.search(reason, error)
