"""The entries of the cache in the table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from chalicelib.aws.dynamodb import DynamoTable
from chalicelib.cache.entries import VisibleEntries
from chalicelib.cache.store import Flight, TableCache
from conducto_core.cache.model import CacheEntry

if TYPE_CHECKING:
    from chalicelib.cache.store import TableCache


@pytest.fixture
def table(any_table: DynamoTable) -> TableCache:
    return TableCache(any_table)


def entry(key: str, path: str = "/a", **fields: Any) -> CacheEntry:
    source = {"pipeline": "abc-def", "path": path, "attempt": 1}
    given = {"key": key, "fields": {"command": "1"}, "source": source, "program": "p", "made": 5.0}
    return CacheEntry.model_validate({**given, "used": 5.0, **fields})


def test_an_entry_is_found_by_its_key_and_its_node(table: TableCache) -> None:
    table.put("acme", entry("aa"), b"streams")
    assert table.get("acme", "aa") == (entry("aa"), b"streams")
    assert table.newest("acme", "p", "/a") == entry("aa")
    assert table.get("acme", "bb") is None
    assert table.get("other", "aa") is None
    assert table.newest("acme", "p", "/b") is None


def test_a_new_entry_replaces_the_one_with_its_key(table: TableCache) -> None:
    table.put("acme", entry("aa"), b"old")
    table.put("acme", entry("aa", made=6.0), b"new")
    assert table.get("acme", "aa") == (entry("aa", made=6.0), b"new")


def test_uses_are_counted_and_a_deleted_entry_stays_deleted(table: TableCache) -> None:
    table.put("acme", entry("aa"), b"")
    table.note_use("acme", "aa", 7.0)
    table.note_use("acme", "aa", 9.0)
    found = table.get("acme", "aa")
    assert found is not None
    assert (found[0].used, found[0].hits) == (9.0, 2)
    table.delete("acme", "aa")
    table.note_use("acme", "aa", 10.0)
    assert table.get("acme", "aa") is None
    assert list(table.entries("acme")) == []


def test_a_caller_sees_no_private_entries_of_others(table: TableCache) -> None:
    table.put("acme", entry("aa11", "/load", used=1.0), b"")
    table.put("acme", entry("aa22", "/b", private_to="ann", used=2.0), b"")
    table.put("acme", entry("bb33", "/c", private_to="bob", used=3.0), b"")
    seen = VisibleEntries(table, "acme", "ann")
    assert [each.key for each in seen.list_used("", -1)] == ["aa22", "aa11"]
    assert [each.key for each in seen.list_used("LOAD", -1)] == ["aa11"]
    assert [each.key for each in seen.list_used("", 1)] == ["aa22"]
    assert [each.key for each in seen.with_id("aa1")] == ["aa11"]
    assert list(seen.with_id("bb")) == []


def test_one_attempt_holds_a_flight_until_it_is_released(table: TableCache) -> None:
    first = Flight("abc-def", "/load it", 1, 10.0)
    second = first._replace(pipeline="ghi-jkl", since=20.0)
    assert table.acquire("acme", "key", first) is None
    assert table.acquire("acme", "key", first) is None  # a repeated request
    assert table.acquire("acme", "key", second) == first
    assert table.acquire("other", "key", second) is None
    table.wait("acme", "key", second.pipeline, 20.0)
    assert table.release("acme", "key", second.holder) == []
    assert table.flight("acme", "key") == first
    assert table.release("acme", "key", first.holder) == ["ghi-jkl"]
    assert table.flight("acme", "key") is None
    assert table.acquire("acme", "key", second) is None
    assert table.release("acme", "key", second.holder) == []  # the mark is deleted


def test_a_holder_that_has_ended_is_replaced_once(table: TableCache) -> None:
    first = Flight("abc-def", "/load", 1, 10.0)
    others = [first._replace(attempt=number) for number in (2, 3)]
    table.acquire("acme", "key", first)
    found = [table.acquire("acme", "key", each, first.holder) for each in others]
    assert found == [None, others[0]]


def test_everything_of_an_organisation_is_deleted(table: TableCache) -> None:
    for org in ("acme", "acme2"):
        table.put(org, entry("aa"), b"")
        table.acquire(org, "key", Flight("abc-def", "/load", 1, 10.0))
        table.wait(org, "key", "ghi-jkl", 20.0)
    table.delete_all("acme")
    assert list(table.entries("acme")) == []
    assert (table.newest("acme", "p", "/a"), table.flight("acme", "key")) == (None, None)
    assert table.newest("acme2", "p", "/a") is not None


def test_private_entries_of_a_user_are_deleted(table: TableCache) -> None:
    table.put("acme", entry("aa", "/a", private_to="ann"), b"")
    table.put("acme", entry("bb", "/b", private_to="bob"), b"")
    table.delete_private("acme", "ann")
    assert [each.key for each in table.entries("acme")] == ["bb"]
    assert table.newest("acme", "p", "/a") is None
    assert table.newest("acme", "p", "/b") is not None
