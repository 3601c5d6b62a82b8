"""Native functions: the command that is written, and the arguments that come back from it."""

# ruff: noqa: RUF013, UP006, UP035, UP045
# The older spellings of annotations are tested here.

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import functools
import pathlib
import re
import shlex
from typing import TYPE_CHECKING, Any, List, NamedTuple, NewType, Optional, TypeVar

import pytest

import conducto as co
from conducto.main import main

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")
Count = NewType("Count", int)


class Point:
    def __init__(self, x: int, y: int) -> None:
        self.x, self.y = x, y

    def to_str(self) -> str:
        return f"{self.x}:{self.y}"

    @staticmethod
    def from_str(text: str) -> Point:
        x, y = text.split(":")
        return Point(int(x), int(y))

    def __repr__(self) -> str:  # stable, for the ids of cases
        return f"Point({self.x}, {self.y})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Point) and (self.x, self.y) == (other.x, other.y)

    __hash__ = None  # type: ignore[assignment]


def integer(x: int):
    return x


def real(x: float):
    return x


def text(x: str):
    return x


def flag(x: bool):
    return x


def raw(x: bytes):
    return x


def texts(x: list):
    return x


def integers(x: List[int]):
    return x


def integers_585(x: list[int]):
    return x


def maybe(x: Optional[int] = None):
    return x


def maybe_604(x: int | None = None):
    return x


def maybe_required(x: Optional[int]):
    return x


def maybe_texts(x: Optional[List[str]] = None):
    return x


def maybe_text(x: str | None):
    return x


def implicit(x: int = None):
    return x


def day(x: dt.date):
    return x


def moment(x: dt.datetime):
    return x


def place(x: pathlib.Path):
    return x


def point(x: Point):
    return x


def points(x: list[Point]):
    return x


def counted(x: Count):
    return x


def anything(x: Any):
    return x


def variable(x: T):
    return x


def bare(x):
    return x


def by_default(x=2.5):
    return x


def by_text_default(x="a"):
    return x


def without_default(x=None):
    return x


def dashed(long_name: int):
    return long_name


@functools.wraps(integer)
def wrapped(*args, **kwargs):
    return integer(*args, **kwargs)


class Color(enum.Enum):
    RED = "red"


@dataclasses.dataclass
class Net:
    layers: list[int]
    color: Color = Color.RED


class Pair(NamedTuple):
    left: int
    right: str


def net(x: Net):
    return x


def nets(x: dict[str, list[Net]]):
    return x


def pair(x: Pair):
    return x


def limit(x: dt.timedelta):
    return x


def color(x: Color):
    return x


def either(x: int | str):
    return x


def numbers(x: set[int]):
    return x


def maybe_flag(x: bool | None = True):
    return x


def color_by_default(x=Color.RED):
    return x


def helped(help: bool):  # noqa: A002 (on purpose)
    return help


def twofold(x: bool, no_x: bool):
    return x, no_x


def words_of(node: co.Exec) -> list[str]:
    command = re.sub(r"__conducto_intermediate_path:(.*?):endpath__", r"\1", node.command)
    return shlex.split(command)


def called(node: co.Exec) -> Any:
    """Return the arguments that the function receives in the container."""
    results: list[Any] = []
    words = words_of(node)
    assert words[0] == "conducto"
    assert main(variables=globals(), argv=words[2:], printer=results.append) == 0
    return results[0] if results else None


ROUND_TRIPS: list[tuple[Callable[..., Any], Any]] = [
    (integer, 3),
    (integer, -1),
    (integer, True),
    (real, 2.5),
    (text, "DDR4-2933 (quad channel)"),
    (text, ""),
    (text, "None"),
    (text, "--x=3 'y' \"z\" $HOME `w`\nnext, line\\"),
    (text, "ünï 🦆"),
    (flag, True),
    (flag, False),
    (raw, b"abc"),
    (texts, ["a,b", "c"]),
    (texts, []),
    (integers, [1, 2]),
    (integers, []),
    (integers_585, [1, 2]),
    (maybe, 3),
    (maybe, None),
    (maybe_604, 4),
    (maybe_required, None),
    (maybe_texts, ["a", "b"]),
    (implicit, 5),
    (implicit, None),
    (day, dt.date(2020, 1, 2)),
    (moment, dt.datetime(2020, 1, 2, 3, 4, 5)),  # noqa: DTZ001
    (place, pathlib.Path("/a b/c")),
    (point, Point(1, 2)),
    (points, [Point(1, 2), Point(3, 4)]),
    (counted, 3),
    (bare, "a"),
    (bare, True),
    (bare, False),
    (by_default, 3.5),
    (by_text_default, "b"),
    (without_default, "b"),
    (wrapped, 3),
    (net, Net([1, 2])),
    (nets, {"a": [Net([])], "b": []}),
    (pair, Pair(1, "a")),
    (limit, dt.timedelta(days=1, microseconds=5)),
    (color, Color.RED),
    (either, 3),
    (either, "3"),
    (numbers, {1, 2}),
    (texts, [1, [2]]),
    (texts, ["", "b"]),
    (maybe_text, "None"),
    (maybe_flag, None),
    (maybe_flag, False),
    (color_by_default, Color.RED),
]


@pytest.mark.parametrize(
    ("function", "value"), ROUND_TRIPS, ids=[f"{f.__name__}-{v!r}" for f, v in ROUND_TRIPS]
)
def test_argument_comes_back_as_it_was_given(function: Callable[..., Any], value: Any) -> None:
    node = co.Exec(function, value)

    assert called(node) == value


@pytest.mark.parametrize(
    ("node", "tail"),
    [
        (lambda: co.Exec(dashed, long_name=2950), ["--long_name=2950"]),
        (lambda: co.Exec(maybe), []),
        (lambda: co.Exec(flag, True), ["--x"]),
        (lambda: co.Exec(flag, False), ["--no-x"]),
        (lambda: co.Exec(texts, ["a,b", "c"]), ["--x=a\\,b,c"]),
        (lambda: co.Exec(maybe_required, None), ["--x=None"]),
        (lambda: co.Exec(variable, 3), ["--x=3"]),
    ],
    ids=["name", "default", "true", "false", "list", "none", "typevar"],
)
def test_command_names_file_function_and_bound_arguments(node: Any, tail: list[str]) -> None:
    words = words_of(node())

    assert words[:2] == ["conducto", str(pathlib.Path(__file__).resolve())]
    assert words[3:] == tail


@pytest.mark.parametrize(
    ("function", "value", "reason"),
    [
        (bare, [1, 2], "Argument x=[1, 2] <class 'list'> for function bare cannot be passed: "),
        (bare, None, "None is a NoneType; annotate the parameter with its type"),
        (anything, {"a": 1}, "{'a': 1} is a dict; annotate the parameter with its type"),
        (by_default, [1.0], "expected a float, got [1.0]"),
        (by_text_default, None, "expected text, got None"),
        (color, "RED", "expected one of RED, got 'RED'"),
        (net, Net(["a"]), "Net.layers: item 0: expected an int, got 'a'"),  # type: ignore[list-item]
        (day, dt.datetime(2026, 1, 31), "is not compatible with expected type"),  # noqa: DTZ001
        (text, "a\0b", "a command cannot have the character NUL"),
        (helped, True, "--help is a flag of every script; rename the parameter"),
        (lambda x: x, object(), "is a object; annotate the parameter with its type"),
    ],
)
def test_value_that_would_change_is_rejected(
    function: Callable[..., Any], value: Any, reason: str
) -> None:
    with pytest.raises(TypeError) as raised:
        co.Exec(function, value)

    assert reason in str(raised.value)


def test_flag_with_two_meanings_is_rejected() -> None:
    with pytest.raises(TypeError, match="--no-x could mean x or no_x; rename one"):
        co.Exec(twofold, x=False, no_x=False)


def test_node_parameters_come_through_params() -> None:
    node = co.Exec(bare, "a", params=co.Params(cpu=2, doc=lambda: "made"))

    assert (node.cpu, node.doc) == (2, "made")
    assert words_of(node)[3:] == ["--x=a"]


def test_keyword_of_a_function_is_not_a_node_parameter() -> None:
    def sized(cpu: int) -> int:
        return cpu

    assert co.Exec(sized, cpu=2950).cpu is None


def code_image(tmp_path: pathlib.Path) -> co.Image:
    here = pathlib.Path(__file__).resolve().parent
    return co.Image("a", copy_dir=str(here))


def test_path_is_shortened_below_the_copied_code(tmp_path: pathlib.Path) -> None:
    node = co.Exec(integer, 3, params=co.Params(image=code_image(tmp_path)))

    assert node.pretty().endswith(f"conducto {pathlib.Path(__file__).name} integer --x=3")


def test_path_is_absolute_where_commands_start_elsewhere(tmp_path: pathlib.Path) -> None:
    image = code_image(tmp_path)
    image.docker_auto_workdir = False

    node = co.Exec(integer, 3, params=co.Params(image=image))

    assert f"conducto /mnt/conducto/{pathlib.Path(__file__).name} integer" in node.pretty()


def test_image_without_the_code_is_rejected_when_strict() -> None:
    root = co.Serial(image="a")
    root["x"] = co.Exec(integer, 3)

    with pytest.raises(ValueError, match="Node references local code") as raised:
        root.pretty()
    text = str(raised.value)
    assert "Node: /x\n" in text
    assert f"The image does not contain {__file__}; give the node or a parent an image" in text
    assert 'image=co.Image("a", copy_dir="."), with copy_repo=True' in text
    assert "{" not in text
    assert "integer --x=3" in root.pretty(strict=False)


def test_string_annotation_of_an_unknown_name_is_rejected() -> None:
    def odd(x: Nowhere = None):  # type: ignore[name-defined] # noqa: F821 (on purpose)
        return x

    assert words_of(co.Exec(odd))[3:] == []
    with pytest.raises(TypeError, match="x of function odd: the annotation 'Nowhere' cannot be"):
        co.Exec(odd, "a")
