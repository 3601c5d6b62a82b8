"""`co.util`: flags from the environment, and nodes along paths."""

from __future__ import annotations

import datetime as dt

import pytest

from conducto import util
from conducto.tree.nodes import Exec, Parallel, Serial


@pytest.mark.parametrize("text", ["", "0", "n", "N", "none", "NONE", "false", "False", "f", "0.0"])
def test_a_word_for_false_is_false(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLAG", text)

    assert util.env_bool("FLAG") is False


@pytest.mark.parametrize("text", ["1", "yes", "true", "no", "00", "anything"])
def test_every_other_word_is_true(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLAG", text)

    assert util.env_bool("FLAG") is True


def test_a_flag_that_is_not_set_is_false(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FLAG", raising=False)

    assert util.env_bool("FLAG") is False


def paths(root) -> list[tuple[str, str]]:
    return [(str(node), type(node).__name__) for node in root.stream()]


def test_mkdirs_creates_missing_directories() -> None:
    root = Serial()
    root["a"] = Serial()

    made = util.mkdirs(root, "/a//b/c/")

    assert str(made) == "/a/b/c"
    assert paths(root) == [
        ("/", "Serial"),
        ("/a", "Serial"),
        ("/a/b", "Parallel"),
        ("/a/b/c", "Parallel"),
    ]


def test_mkdirs_makes_nodes_of_the_wanted_type() -> None:
    root = Parallel()

    util.mkdirs(root, "a/b", Serial)

    assert paths(root)[1:] == [("/a", "Serial"), ("/a/b", "Serial")]


def test_mkdirs_twice_gives_the_same_node() -> None:
    root = Parallel()

    assert util.mkdirs(root, "a/b") is util.mkdirs(root, "a/b")


def test_empty_mkdirs_returns_the_node_itself() -> None:
    root = Parallel()

    assert util.mkdirs(root, "") is root


def test_nested_nodes_follow_the_function() -> None:
    root = Parallel()
    calls = []

    def path(index: int, value: str, values) -> str:
        calls.append((index, value, list(values)))
        return f"{value[0]}/{value}"

    pairs = list(util.makenestednodes(root, ["ba", "ab"], path, makeLeafNode=True))

    assert calls == [(0, "ab", ["ab", "ba"]), (1, "ba", ["ab", "ba"])]
    assert [(str(node), value) for node, value in pairs] == [("/a/ab", "ab"), ("/b/ba", "ba")]


def test_without_leaves_the_node_above_is_given() -> None:
    root = Parallel()

    for node, value in util.makeyyyymmnodes(root, ["2020/01", "2020/02", "2019/12"]):
        node[value[-2:]] = Exec("true")

    assert [path for path, _ in paths(root)] == [
        "/",
        "/2020",
        "/2020/02",
        "/2020/01",
        "/2019",
        "/2019/12",
    ]


def test_a_value_without_a_directory_belongs_to_the_base() -> None:
    root = Parallel()

    pairs = list(util.makeyyyymmnodes(root, ["2020"]))

    assert pairs == [(root, "2020")]


@pytest.mark.parametrize(
    ("options", "values"),
    [({}, ["ba", "ab"]), ({"reverse": True}, ["ba", "ab"]), ({"sort": False}, ["ba", "ab"])],
)
def test_the_order_can_be_chosen(options, values: list[str]) -> None:
    expected = {"{}": ["ab", "ba"]}.get(str(options), values)

    pairs = list(util.makenestednodes(Parallel(), values, lambda i, v, vs: v, True, **options))

    assert [value for _, value in pairs] == expected


@pytest.mark.parametrize("days", [["2020/01/31"], [dt.date(2020, 1, 31)]])
def test_a_day_may_be_text_or_a_date(days) -> None:
    root = Parallel()

    [(node, day)] = util.makedatenodes(root, days, makeLeafNode=True, nodeType=Serial)

    assert (str(node), day) == ("/2020/01/31", days[0])
    assert isinstance(node, Serial)
