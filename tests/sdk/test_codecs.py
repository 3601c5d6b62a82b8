"""Typed values as words of a command line and as JSON: they come back equal, of any nesting."""

# ruff: noqa: UP006, UP007, UP035, UP045
# The older spellings of annotations are tested, too.

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import json
import typing
from pathlib import PurePosixPath
from typing import Any, Dict, Iterator, List, Literal, NamedTuple, Optional, Tuple, Union

import pydantic
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conducto.inspection.codecs import CodecError, codec_of, to_json


class Color(enum.Enum):
    RED = "red"
    GREEN = "RED"
    ONE = 1


class Mode(enum.Flag):
    READ = enum.auto()
    WRITE = enum.auto()


@dataclasses.dataclass(frozen=True)
class Point:
    x: int
    y: float = 0.0
    label: str | None = None


class Pair(NamedTuple):
    left: int
    right: str = ""


class Model(pydantic.BaseModel):
    name: str
    sizes: List[int] = []

    def __hash__(self) -> int:
        return hash((self.name, *self.sizes))


UNHURRIED = settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=6) | st.sampled_from(
    ["None", '"None"', "", "3", "a,b", "a\\", "[1]", '["a"]', '"3"', "true", "1h", "NaN"]
)
FLOATS = st.floats(allow_nan=False)
MOMENTS = st.datetimes(timezones=st.sampled_from([None, dt.UTC]))
LEAVES: list[tuple[Any, st.SearchStrategy[Any]]] = [
    (int, st.integers()),
    (float, FLOATS),
    (bool, st.booleans()),
    (str, TEXT),
    (bytes, TEXT.map(str.encode)),
    (PurePosixPath, TEXT.map(PurePosixPath)),
    (dt.date, st.dates()),
    (dt.time, st.times()),
    (dt.datetime, MOMENTS),
    (dt.timedelta, st.timedeltas()),
    (Color, st.sampled_from(Color)),
    (Mode, st.sampled_from([Mode(0), Mode.READ, Mode.READ | Mode.WRITE])),
    (Literal["a", "None", 3, True], st.sampled_from(["a", "None", 3, True])),
    (Point, st.builds(Point, st.integers(), FLOATS, st.none() | TEXT)),
    (Pair, st.builds(Pair, st.integers(), TEXT)),
    (Model, st.builds(Model, name=TEXT, sizes=st.lists(st.integers(), max_size=3))),
    (type(None), st.none()),
]
TypeAndValues = typing.Tuple[Any, Any]


def lists(inner: TypeAndValues) -> TypeAndValues:
    return List[inner[0]], st.lists(inner[1], max_size=3)  # type: ignore[name-defined]


def tuples(inner: TypeAndValues) -> TypeAndValues:
    return Tuple[inner[0], ...], st.lists(inner[1], max_size=3).map(tuple)  # type: ignore[name-defined]


def pairs(inner: TypeAndValues) -> TypeAndValues:
    return Tuple[inner[0], int], st.tuples(inner[1], st.integers())  # type: ignore[name-defined]


def dicts(inner: TypeAndValues) -> TypeAndValues:
    return Dict[str, inner[0]], st.dictionaries(TEXT, inner[1], max_size=3)  # type: ignore[name-defined]


def optionals(inner: TypeAndValues) -> TypeAndValues:
    return Optional[inner[0]], st.none() | inner[1]


def unions(inner: TypeAndValues) -> TypeAndValues:
    return Union[inner[0], int, None], st.none() | st.integers() | inner[1]


TYPES = st.recursive(
    st.sampled_from(LEAVES),
    lambda inner: st.tuples(
        st.sampled_from([lists, tuples, pairs, dicts, optionals, unions]), inner
    ).map(lambda chosen: chosen[0](chosen[1])),
    max_leaves=4,
)


@st.composite
def typed_values(draw: st.DrawFn) -> tuple[Any, Any]:
    annotation, values = draw(TYPES)
    return annotation, draw(values)


@UNHURRIED
@given(typed_values())
def test_value_comes_back_from_its_word_and_its_json(case: tuple[Any, Any]) -> None:
    annotation, value = case
    codec = codec_of(annotation)
    word, data = codec.encode(value), codec.to_json(value)

    for back in (codec.decode(word), codec.from_json(json.loads(json.dumps(data)))):
        assert back == value
        assert type(back) is type(value)
    json.dumps(to_json(value), allow_nan=False)


@UNHURRIED
@given(TYPES, TYPES, st.data())
def test_value_of_a_union_comes_back_or_is_rejected(
    one: TypeAndValues, other: TypeAndValues, data: st.DataObject
) -> None:
    value = data.draw(one[1] | other[1])
    codec = codec_of(Dict[str, Union[one[0], other[0], str]])  # type: ignore[name-defined]
    alone = codec_of(Union[one[0], other[0], str])  # type: ignore[name-defined]
    try:
        back = codec.decode(codec.encode({"a": value}))["a"], alone.decode(alone.encode(value))
    except CodecError as error:
        assert "cannot be told apart" in str(error)  # noqa: PT017 (most can)
    else:
        assert back == (value, value)


@UNHURRIED
@given(st.sets(TEXT), st.frozensets(st.integers()), st.dictionaries(st.tuples(TEXT), FLOATS))
def test_sets_and_dicts_with_other_keys_come_back(
    texts: set[str], numbers: frozenset[int], mapping: dict[tuple[str], float]
) -> None:
    for annotation, value in (
        (typing.Set[str], texts),
        (typing.FrozenSet[int], numbers),
        (Dict[Tuple[str], float], mapping),
    ):
        codec = codec_of(annotation)
        assert codec.decode(codec.encode(value)) == value


@UNHURRIED
@given(st.recursive(st.none() | st.booleans() | st.integers() | TEXT, st.lists, max_leaves=5))
def test_untyped_data_in_a_list_come_back(value: Any) -> None:
    codec = codec_of(list)

    assert codec.decode(codec.encode([value])) == [value]


@UNHURRIED
@given(TEXT, st.sampled_from([annotation for annotation, _ in LEAVES] + [list, dict, List[Point]]))
def test_any_text_is_read_or_rejected_in_one_line(text: str, annotation: Any) -> None:
    try:
        codec_of(annotation).decode(text)
    except CodecError as error:
        assert "\n" not in str(error)  # noqa: PT017 (some texts are valid)


@pytest.mark.parametrize(
    ("annotation", "value", "word"),
    [
        (int, 3, "3"),
        (float, 0.5, "0.5"),
        (dt.timedelta, dt.timedelta(hours=1, minutes=30), "1h30m"),
        (dt.timedelta, dt.timedelta(seconds=-1.5), "-1.5s"),
        (dt.timedelta, dt.timedelta(0), "0s"),
        (dt.date, dt.date(2026, 1, 31), "2026-01-31"),
        (Color, Color.RED, "RED"),
        (Mode, Mode.READ | Mode.WRITE, "READ|WRITE"),
        (List[int], [1, 2], "1,2"),
        (list, ["a,b", "c"], "a\\,b,c"),
        (list, [1, "a"], '[1, "a"]'),
        (List[str], [""], '[""]'),
        (Tuple[int, str], (1, "a"), "1,a"),
        (List[List[int]], [[1], []], "[[1], []]"),
        (Dict[str, int], {"a": 1}, '{"a": 1}'),
        (Dict[int, str], {1: "ü"}, '{"1": "ü"}'),
        (Point, Point(1), '{"x": 1, "y": 0.0, "label": null}'),
        (Union[int, str], "3", '"3"'),
        (Union[int, str], "a", "a"),
        (Union[dt.date, str], "2026-01-31", '"2026-01-31"'),
        (Union[str, PurePosixPath], PurePosixPath("a"), "a"),
        (Optional[str], None, "None"),
        (Optional[str], "None", '"None"'),
    ],
)
def test_word_is_readable(annotation: Any, value: Any, word: str) -> None:
    assert codec_of(annotation).encode(value) == word


def test_iterator_converts_its_items_as_they_are_needed() -> None:
    codec = codec_of(Iterator[int])

    found = codec.from_json([1, "x"])

    assert next(found) == 1
    with pytest.raises(CodecError, match="item 1: "):
        next(found)
    assert list(codec.decode("1,2")) == [1, 2]
    assert codec.encode([1, 2]) == "1,2"
