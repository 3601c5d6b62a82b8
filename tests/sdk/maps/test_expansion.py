"""The expansion of a driver equals that of the function's own process: commands, names, errors."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Optional

import pytest

import conducto as co
from conducto.maps.expand import expand
from conducto.tree.launch_form import to_launch_form
from conducto.wire.expansions import expanded, to_expansion
from conducto_core.tree.model import NodeSpec
from conducto_core.tree.rules.resolve import resolve, resolve_generated

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclasses.dataclass
class Region:
    country: str
    size: int = 1


def plan() -> list[Any]:
    return []


def texts(x: str, factor: float = 1.0) -> str: ...
def whole_numbers(x: int) -> str: ...
def floats(x: float) -> str: ...
def flags(x: bool) -> str: ...
def days(x: dt.date) -> str: ...
def paths(x: Path) -> str: ...
def choices(x: Literal["a", "b"]) -> str: ...
def regions(x: Region) -> str: ...
def tables(x: dict[str, int]) -> str: ...
def maybe_texts(x: Optional[str] = None) -> str: ...  # noqa: UP045
def maybe_numbers(x: int | None) -> str: ...
def untyped(x): ...
def anything(x: Any) -> str: ...
def by_default(x=3): ...
def of_union(x: int | str) -> str: ...


def grow(x: str) -> co.Parallel:
    return co.Parallel(doc=x)


def tree(func: Callable[..., Any], **options: Any) -> co.Serial:
    root = co.Serial(image=co.Image(copy_dir="."))
    root["plan"] = step = co.Exec(plan)
    root["m"] = co.map(func, step.result, **{"name": "{index}", **options})
    return root


def records(root: co.Node) -> list[dict[str, Any]]:
    return [each for each in to_launch_form(root)["nodes"] if "expand" in each]


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Return the expansion by the function's own process."""
    monkeypatch.setenv("CONDUCTO_RUN_DIR", str(tmp_path))
    monkeypatch.setenv("__RUN_BY_WORKER__", "1")

    def make(func: Callable[..., Any], root: co.Node, items: Any) -> dict[str, NodeSpec]:
        (tmp_path / "inputs").write_text(json.dumps({"/plan": items}))
        words = resolve(to_launch_form(root)).nodes["/m/Generate"].command.rpartition(" '")[2]
        document = json.loads(words[:-1])
        around = co.Serial(image=co.Image(copy_dir="."))
        around["m"] = expand(func, document)
        return resolve(to_launch_form(around)).nodes

    return make


def by_driver(root: co.Node, items: Any) -> dict[str, NodeSpec]:
    pipeline = resolve(to_launch_form(root))
    expansion = pipeline.nodes["/m/Generate"].expansion
    assert expansion is not None
    form = {**expanded(expansion, items), "images": {}}
    return resolve_generated(form, "/m/Execute", pipeline).nodes


ITEMS: list[tuple[Callable[..., Any], list[Any]]] = [
    (texts, ["a", "", "it's", "two words", "None", "é\n", "--x"]),
    (whole_numbers, [0, -3, 10**30]),
    (floats, [1, 0.5, -1e300, "NaN", "-Infinity"]),
    (flags, [True, False]),
    (days, ["2026-01-31"]),
    (paths, ["/a/b c"]),
    (choices, ["a", "b"]),
    (regions, [{"country": "DE", "size": 2}, {"country": "é", "size": 1}]),
    (tables, [{"a": 1}, {}]),
    (maybe_texts, ["a", "None", '"None"', None]),
    (maybe_numbers, [1, None]),
    (untyped, ["a", 1, 1.5, True, False]),
]


@pytest.mark.parametrize(("func", "items"), ITEMS, ids=lambda value: getattr(value, "__name__", ""))
def test_commands_are_those_of_the_own_process(
    own: Callable[..., Any], func: Callable[..., Any], items: list[Any]
) -> None:
    root = tree(func, params=co.Params(cpu=2, env={"A": "1"}, retry=co.retry(2)), max_concurrent=2)

    expected, found = own(func, root, items), by_driver(root, items)

    assert [found[f"/m/Execute/{n}"].command for n in range(len(items))] == [
        expected[f"/m/{n}"].command for n in range(len(items))
    ]
    first, other = found["/m/Execute/0"], expected["/m/0"]
    assert (first.placement.cpu, first.retry, first.env) == (2, other.retry, {"A": "1"})
    assert (first.file, first.line) == (other.file, other.line)
    assert found["/m/Execute"].max_concurrent == expected["/m"].max_concurrent == 2
    assert found["/m/Execute"].map == expected["/m"].map


ERRORS: list[tuple[Callable[..., Any], Any]] = [
    (texts, [1]),
    (texts, ["a\0"]),
    (texts, ["\ud800"]),
    (texts, ["a" * (1 << 17)]),
    (maybe_texts, ["é" * (1 << 16)]),
    (whole_numbers, [1, "2"]),
    (whole_numbers, [True]),
    (floats, ["1"]),
    (flags, [1]),
    (days, [3]),
    (choices, [1]),
    (maybe_numbers, ["1"]),
    (untyped, [None]),
    (untyped, [{"a": 1}]),
    (whole_numbers, {"a": 1}),
    (whole_numbers, None),
]


@pytest.mark.parametrize(("func", "items"), ERRORS)
def test_errors_are_those_of_the_own_process(
    own: Callable[..., Any], func: Callable[..., Any], items: Any
) -> None:
    root = tree(func)

    with pytest.raises((ValueError, TypeError)) as expected:
        own(func, root, items)
    with pytest.raises((ValueError, TypeError)) as found:
        by_driver(root, items)

    assert str(found.value) == str(expected.value)


def test_parts_of_a_dataclass_are_checked_by_the_command() -> None:
    found = by_driver(tree(regions), [{"country": "DE"}, {}])

    assert found["/m/Execute/1"].command.endswith("regions '--x={}'")


def test_fixed_arguments_and_results_are_those_of_the_template() -> None:
    root = tree(texts, fixed={"factor": 2.5})
    step = co.Exec(plan)
    other = co.Serial(image=co.Image(copy_dir="."), doc="x")
    other["plan"], other["f"] = step, co.Exec(plan)
    other["m"] = co.map(texts, step.result, fixed={"factor": other["f"].result})

    assert by_driver(root, ["a"])["/m/Execute/0"].command.endswith("texts --x=a --factor=2.5")
    found = by_driver(other, ["a"])["/m/Execute/a"]
    assert found.command.endswith("texts --x=a '--factor=<result of /f>'")
    assert found.results == ("/f",)


@pytest.mark.parametrize("func", [by_default, of_union, grow])
def test_other_maps_are_expanded_by_their_command(func: Callable[..., Any]) -> None:
    assert records(tree(func)) == []


def test_parameter_of_any_type_gets_the_item(own: Callable[..., Any]) -> None:
    root = tree(anything)

    assert by_driver(root, ["a"])["/m/Execute/0"].command.endswith("anything --x=a")
    assert own(anything, root, ["a"])["/m/0"].command.endswith("anything --x=a")


def test_record_survives_serialization() -> None:
    root = tree(texts)

    again = co.Node.deserialize(root.serialize())

    assert records(again)[0]["expand"] == records(root)[0]["expand"]
    assert to_expansion(records(again)[0]["expand"]).to_wire() == records(root)[0]["expand"]


@pytest.mark.parametrize(
    "changes", [{"item": {"name": "x", "kind": "?"}}, {"node": {}}, {"over": 1}, {"name": "{x}"}]
)
def test_invalid_records_are_refused(changes: dict[str, Any]) -> None:
    wire = records(tree(texts))[0]["expand"]

    with pytest.raises(ValueError, match=r"expand|name="):
        to_expansion({**wire, **changes})


def test_template_stays_outside_of_an_open_block(capsys: pytest.CaptureFixture[str]) -> None:
    with co.Serial(image="busybox") as root:
        root["plan"] = step = co.Exec(plan)
        root["m"] = co.map(texts, step.result, params=co.Params(cpu=2))
    root.pretty(strict=False)

    assert "is not part of the tree" not in capsys.readouterr().err
