"""``conducto cache`` lists, shows and deletes entries, and shows their use."""

from collections.abc import Callable

import pytest

from conducto_core.cache.model import CacheEntry
from support.cli_trees import CountingPipelines

Conducto = Callable[..., int]
Output = pytest.CaptureFixture[str]


@pytest.fixture
def entries(fake: CountingPipelines) -> dict[str, CacheEntry]:
    for number, path in enumerate(("/load", "/train")):
        source = {"pipeline": "abc-def", "path": path, "attempt": 1}
        given = {"key": f"{number}" * 32, "fields": {}, "source": source, "made": 1.0}
        more = {"program": "p", "seconds": 60.0, "hits": number, "size": 1000, "used": number}
        entry = CacheEntry.model_validate({**given, **more})
        fake.entries.kept[entry.key] = entry
    return fake.entries.kept


def test_entries_are_listed_and_searched(
    entries: dict[str, CacheEntry], conducto: Conducto, capsys: Output
) -> None:
    assert conducto("cache", "list") == 0
    _, first, second = capsys.readouterr().out.splitlines()
    assert (first.split()[:3], second.split()[:3]) == (
        ["1" * 12, "abc-def", "/train"],
        ["0" * 12, "abc-def", "/load"],
    )
    conducto("cache", "list", "LOAD")
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_usage_has_the_time_that_was_saved(
    entries: dict[str, CacheEntry], conducto: Conducto, capsys: Output
) -> None:
    assert conducto("cache", "usage") == 0
    assert "1 commands did not run, which took 1m 00s" in capsys.readouterr().out


def test_an_entry_is_shown_and_deleted(
    entries: dict[str, CacheEntry], conducto: Conducto, capsys: Output
) -> None:
    assert conducto("cache", "show", "1" * 12) == 0
    assert "abc-def /train attempt 1" in capsys.readouterr().out
    assert conducto("cache", "delete", "1" * 12, "--yes") == 0
    assert list(entries) == ["0" * 32]
    assert conducto("cache", "show", "1" * 12) != 0
    assert "see 'conducto cache list'" in capsys.readouterr().err


def test_an_invalid_id_is_rejected(conducto: Conducto, capsys: Output) -> None:
    assert conducto("cache", "show", "no-id") == 2
    assert "expected the ID of an entry, got 'no-id'" in capsys.readouterr().err
