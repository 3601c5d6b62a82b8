"""``co.shard``: parts that take equally long."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

import conducto as co
from conducto.wire.shards import packed, split, unpacked

FILES = [f"tests/test_{n}.py" for n in range(20)]


def loads(parts, seconds):
    return [sum(seconds[name] for name in part) for part in parts]


def test_parts_take_equally_long():
    seconds = {name: 10.0 * (n + 1) for n, name in enumerate(FILES)}

    found = loads(split(FILES, 4, seconds), seconds)

    assert sum(found) == sum(seconds.values())
    assert max(found) - min(found) <= 30


def test_one_slow_file_has_a_part_of_its_own():
    seconds = {**dict.fromkeys(FILES, 1.0), FILES[7]: 100.0}

    assert [FILES[7]] in split(FILES, 3, seconds)


def test_new_file_counts_as_the_median():
    seconds = {"a": 1.0, "b": 9.0, "c": 100.0}

    parts = split(["a", "b", "c", "new"], 2, seconds)

    assert parts == [["c"], ["a", "b", "new"]]


def test_classes_of_a_module_are_the_time_of_its_file():
    seconds = {"tests.test_a": 5.0, "tests.test_a.TestX": 5.0, "tests.test_ab": 1.0}

    parts = split(["tests/test_a.py", "tests/test_ab.py", "./tests/test_c.py"], 2, seconds)

    assert parts[0] == ["tests/test_a.py"]


def test_without_history_the_numbers_are_equal():
    assert [len(part) for part in co.shard(FILES, 3)] == [7, 7, 6]
    assert co.shard(FILES, 3) == co.shard(FILES, 3, by="count")


def test_files_without_time_are_spread():
    assert [len(part) for part in split(FILES, 4, dict.fromkeys(FILES, 0.0))] == [5, 5, 5, 5]


def test_fewer_files_than_parts():
    assert co.shard(["a"], 3) == [["a"], [], []]
    assert co.shard([], 2) == [[], []]


@given(st.dictionaries(st.text(min_size=1), st.floats(0, 1e6), max_size=30), st.integers(1, 9))
def test_each_file_is_in_one_part_in_any_order(seconds, number):
    files = list(seconds)
    shuffled = random.Random(1).sample(files, len(files))

    parts = split(files, number, seconds)

    assert sorted(name for part in parts for name in part) == sorted(files)
    again = split(shuffled, number, seconds)
    assert [set(part) for part in parts] == [set(part) for part in again]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((["a"], 0), "number must be a whole number from 1, got 0"),
        ((["a"], True), "number must be a whole number from 1, got True"),
        ((["a"], 2, "size"), "by must be 'time' or 'count', got 'size'"),
        ((["a", "a"], 2), "'a' is given twice"),
    ],
)
def test_invalid_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        co.shard(*arguments)


@pytest.mark.parametrize(
    ("junit", "error"),
    [
        ("reports/**/*.xml", ValueError),
        ("", ValueError),
        ("a\nb", ValueError),
        (["x.xml"] * 21, ValueError),
        (7, TypeError),
        ([None], TypeError),
    ],
)
def test_invalid_patterns_of_junit_files(junit, error):
    with pytest.raises(error, match="junit"):
        co.Exec("pytest", junit=junit)


def test_patterns_are_inherited_and_can_be_ended():
    root = co.Serial(junit=["a.xml", "b/*.xml"])
    root["inner"] = co.Exec("true")
    root["other"] = co.Exec("true", junit=[])

    assert root.junit == ["a.xml", "b/*.xml"]
    assert (root["inner"].junit, root["other"].junit) == (None, [])
    assert root["inner"].get_inherited_attribute("junit") == ["a.xml", "b/*.xml"]
    root.junit = None
    assert root.junit is None


def test_times_of_a_lazy_fit_into_a_variable():
    seconds = {f"tests/{random.Random(n).random()}.py": float(n) for n in range(20_000)}

    value = packed(seconds)
    kept = unpacked(value)

    assert len(value) <= 100_000
    assert len(kept) > 1000
    assert min(kept.values()) > max(seconds[name] for name in seconds.keys() - kept.keys())
