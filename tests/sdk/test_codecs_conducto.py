"""Codecs of types: values that are rejected, forms that people write, and JSON without a type."""

# ruff: noqa: UP006, UP007, UP035
# The older spellings of annotations are tested, too.

from __future__ import annotations

import dataclasses
import datetime as dt
import decimal
import enum
import json
import typing
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Tuple

import pydantic
import pytest

from conducto.inspection.codecs import CodecError, codec_of, to_json, word_of


class Color(enum.Enum):
    RED = "red"
    GREEN = "green"


class Mode(enum.IntFlag):
    READ = 1
    WRITE = 2


@dataclasses.dataclass
class Point:
    x: int
    y: float = 0.0
    inner: Point | None = None


@dataclasses.dataclass
class Other:
    x: int


class Special(Point):
    pass


@dataclasses.dataclass
class Counter:
    start: int
    count: int = dataclasses.field(default=0, init=False)


class Pair(NamedTuple):
    left: int
    right: str = ""


class Options(typing.TypedDict, total=False):
    depth: int


class Model(pydantic.BaseModel):
    name: str
    depth: int = 1


class Login(pydantic.BaseModel):
    password: pydantic.SecretStr


class Opaque:
    pass


def changed_counter() -> Counter:
    counter = Counter(1)
    counter.count = 5
    return counter


RECURSIVE: list[Any] = []
RECURSIVE.append(RECURSIVE)


@pytest.mark.parametrize(
    ("annotation", "text", "value"),
    [
        (Color, "green", Color.GREEN),
        (Mode, "READ|WRITE", Mode.READ | Mode.WRITE),
        (dt.datetime, "2026-01-31T18:30Z", dt.datetime(2026, 1, 31, 18, 30, tzinfo=dt.UTC)),
        (dt.timedelta, "90", dt.timedelta(seconds=90)),
        (dt.timedelta, "1.5h", dt.timedelta(minutes=90)),
        (dt.timedelta, "250ms", dt.timedelta(milliseconds=250)),
        (List[int], "[1, 2]", [1, 2]),
        (list, "a,b", ["a", "b"]),
        (Point, '{"x": 1, "inner": {"x": 2}}', Point(1, 0.0, Point(2))),
        (Pair, '{"left": 1}', Pair(1)),
        (Options, '{"depth": 1}', {"depth": 1}),
        (Dict[Color, int], '{"RED": 1}', {Color.RED: 1}),
        (decimal.Decimal, "0.10", decimal.Decimal("0.10")),
    ],
)
def test_forms_that_people_write_are_read(annotation: Any, text: str, value: Any) -> None:
    assert codec_of(annotation).decode(text) == value


def test_union_type_of_python_3_14_is_a_union() -> None:
    kind = type("Union", (), {"__module__": "typing", "__args__": (int, type(None))})

    assert codec_of(kind()).decode("3") == 3
    assert codec_of(kind()).decode("None") is None


@pytest.mark.parametrize(
    ("annotation", "text", "reason"),
    [
        (int, "x", "expected an int, got 'x'"),
        (Color, "blue", "expected one of RED, GREEN, got 'blue'"),
        (dt.date, "31.1.2026", "expected a date such as 2026-01-31, got '31.1.2026'"),
        (dt.timedelta, "soon", "expected a duration such as 1h30m or 90s, got 'soon'"),
        (List[int], "1,x", "item 1: expected an int, got 'x'"),
        (Tuple[int, str], "1", "expected a tuple of 2 (int, text), got ['1']"),
        (Dict[str, int], "{", "expected a dict as JSON, got '{'"),
        (Dict[str, int], '{"a": "b"}', "['a']: expected an int, got 'b'"),
        (Point, '{"x": "a"}', "Point.x: expected an int, got 'a'"),
        (Point, '{"x": 1, "z": 2}', "Point has no field 'z', only x, y, inner"),
        (Point, "{}", "Point needs the field 'x'"),
        (Model, '{"depth": "x"}', "Model: name: Field required (and 1 more)"),
        (typing.Union[int, Color], "x", "expected an int or one of RED, GREEN, got 'x'"),
    ],
)
def test_wrong_text_is_rejected_with_the_reason(annotation: Any, text: str, reason: str) -> None:
    with pytest.raises(CodecError) as raised:
        codec_of(annotation).decode(text)

    assert str(raised.value).startswith(reason)


@pytest.mark.parametrize(
    ("annotation", "value", "reason"),
    [
        (dt.date, dt.datetime(2026, 1, 31), "expected a date"),  # noqa: DTZ001
        (List[int], ["a"], "item 0: expected an int, got 'a'"),
        (list, [(1, 2)], "item 0: (1, 2) is a tuple"),
        (Point, Special(1), "expected a Point, got Special"),
        (Counter, changed_counter(), "Counter.count would be lost"),
        (Login, Login(password=pydantic.SecretStr("x")), "is not equal after its own JSON"),
        (typing.Union[Point, Options], {"depth": "x"}, "expected"),
        (
            typing.Union[Point, Other],
            Other(1),
            "Other(x=1) cannot be told apart from other members",
        ),
        (bytes, b"\xff", "cannot be written as text"),
    ],
)
def test_value_that_would_change_is_rejected(annotation: Any, value: Any, reason: str) -> None:
    with pytest.raises(CodecError) as raised:
        codec_of(annotation).encode(value)

    assert reason in str(raised.value)


@pytest.mark.parametrize(
    ("annotation", "reason"),
    [
        (Opaque, "Opaque cannot be made of text"),
        (typing.Callable[[int], int], "Invalid type annotation"),
        (typing.Literal["1", 1], "two values of the Literal are written as '1'"),
        ("Missing", "the annotation 'Missing' cannot be evaluated"),
    ],
)
def test_type_without_a_codec_is_rejected(annotation: Any, reason: str) -> None:
    with pytest.raises(TypeError, match=reason.replace("[", r"\[")):
        codec_of(annotation)


@pytest.mark.parametrize(
    ("value", "data"),
    [
        (None, None),
        ({"a": (1, 2.5), "b": {"y", "x"}}, {"a": [1, 2.5], "b": ["x", "y"]}),
        ({Color.RED: 1, 3: 2, dt.date(2026, 1, 31): 3}, {"RED": 1, "3": 2, "2026-01-31": 3}),
        ([Color.RED, Path("a/b"), b"c"], ["RED", "a/b", "c"]),
        (Point(1, 0.5), {"x": 1, "y": 0.5, "inner": None}),
        (Pair(1, "a"), {"left": 1, "right": "a"}),
        (Model(name="a"), {"name": "a", "depth": 1}),
        (float("nan"), "NaN"),
        (dt.timedelta(hours=1), "1h"),
        (Mode.READ, "READ"),
    ],
)
def test_value_without_a_type_has_json(value: Any, data: Any) -> None:
    assert to_json(value) == data
    json.dumps(to_json(value), allow_nan=False)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (
            {"a": [1, Opaque()]},
            r"\['a'\]: item 1: <.*Opaque object.*> is a Opaque, which has no JSON",
        ),
        ({(1, 2): 3}, "a key: .* is a tuple, which cannot be a key"),
        ({1: "a", "1": "b"}, "two keys are written as '1'"),
        (RECURSIVE, "more than 100 levels"),
        (lambda: None, "is a function, which has no JSON form"),
    ],
)
def test_value_without_json_is_rejected_with_its_place(value: Any, reason: str) -> None:
    with pytest.raises(CodecError, match=reason):
        to_json(value)


@pytest.mark.parametrize(
    ("value", "word"),
    [
        (None, "None"),
        (True, "true"),
        (3, "3"),
        ("a b", "a b"),
        (Path("a/b"), "a/b"),
        (dt.date(2026, 1, 31), "2026-01-31"),
        (Color.RED, "RED"),
        (["a", "b,c"], '["a", "b,c"]'),
        ({"a": [1]}, '{"a": [1]}'),
    ],
)
def test_value_is_written_as_a_word_of_its_own_type(value: object, word: str) -> None:
    assert word_of(value) == word
    with pytest.raises(CodecError):
        word_of([object()])
