"""``--partition`` and ``--backfill`` of a script, and the trees that they make."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest

import conducto as co
from conducto import partitions
from conducto.errors import UsageError
from conducto.inspection.signatures import signature_of
from conducto.main import tree_of
from conducto.script.arguments import MethodCall
from conducto.tools import partition_items
from conducto.tree.serialize import pretty
from conducto.wire.partitions import PartitionSet, daily, monthly, static

SEEN: list[Any] = []


def nightly(partition: co.Partition, table: str = "sales") -> co.Serial:
    SEEN.append(partition)
    root = co.Serial(image=co.Image("python:3.11-slim", copy_dir="."))
    root["load"] = co.Exec(f"load {table} {partition}")
    root["check"] = co.Exec(f"check {partition.previous}")
    return root


def by_text(partition: str) -> co.Exec:
    SEEN.append(partition)
    return co.Exec(f"echo {partition}")


def plain() -> co.Exec:
    return co.Exec("true")


def printed(
    capsys: pytest.CaptureFixture[str], *words: str, known: PartitionSet | None = None
) -> tuple[str, str]:
    """Return the output and the errors of a script with partitions."""
    SEEN.clear()
    days = daily("2020-01-01", "Europe/Berlin") if known is None else known
    names = {"nightly": nightly, "by_text": by_text, "plain": plain}
    with contextlib.suppress(SystemExit):
        co.main(names, argv=list(words), filename="p.py", partitions=days)
    captured = capsys.readouterr()
    return captured.out, captured.err


def test_script_gets_the_partition_that_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    out, _ = printed(capsys, "nightly", "--partition", "2020-11-30")

    assert "load sales 2020-11-30" in out
    assert "check 2020-11-29" in out
    assert [(type(one), one.zone) for one in SEEN] == [(co.Partition, "Europe/Berlin")]


def test_script_gets_the_newest_partition(capsys: pytest.CaptureFixture[str]) -> None:
    known = monthly("2020-01")
    newest = known.newest(partitions.now())  # a test at the end of a month may see the next one

    out = printed(capsys, "by_text", known=known)[0]

    assert any(f"echo {key}" in out for key in (newest, known.newest(partitions.now())))
    assert type(SEEN[0]) is str


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("nightly", "--partition", "2019-12-31"), "the first one is 2020-01-01"),
        (("nightly", "--partition", "2999-01-01"), "ends in the future"),
        (("nightly", "--backfill", "2020-02-02..2020-02-01"), "2020-02-02 is after 2020-02-01"),
        (("nightly", "--backfill", "x.."), "'x' is not the key of a partition"),
        (("nightly", "--partition", "2020-02-02", "--backfill", ".."), "leave one of them out"),
        (("nightly", "--max-concurrent", "3"), "add --backfill FROM..TO"),
        (("nightly", "--backfill", "..", "--max-concurrent", "0"), "a number from 1 on"),
        (("nightly", "--backfill", "..", "--backfill-only", "done"), "missing, failed, stale"),
        (("plain", "--backfill", ".."), "needs a parameter for the partition"),
    ],
)
def test_bad_partition_names_the_accepted_values(
    words: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert message in printed(capsys, *words)[1]


def test_names_have_no_newest(capsys: pytest.CaptureFixture[str]) -> None:
    _, err = printed(capsys, "by_text", known=static(["de", "fr"]))

    assert "--partition is missing; the partitions are de, fr" in err


def test_backfill_has_a_child_for_each_partition(capsys: pytest.CaptureFixture[str]) -> None:
    out, err = printed(capsys, "nightly", "--table=a", "--backfill", "2020-02-28..2020-03-01")

    assert [line for line in out.splitlines() if "load" in line] == [
        "│ ├─0 load   load a 2020-02-28",
        "│ ├─0 load   load a 2020-02-29",
        "  ├─0 load   load a 2020-03-01",
    ]
    assert "backfill of 3 partitions, 2020-02-28 to 2020-03-01: 6 commands, at most 10" in err


def backfill(first: str, last: str, **named: Any) -> partitions.Backfill:
    known = daily("1990-01-01", "Europe/Berlin")
    call = MethodCall("nightly", signature_of(nightly))
    keys = known.between(first, last, partitions.now())
    call.named = {"partition": known.partition(keys[0], partitions.now()), **named}
    return partitions.Backfill(nightly, call, known, keys, make=tree_of, max_concurrent=4)


def test_large_backfill_makes_its_trees_while_it_runs() -> None:
    root = backfill("1990-01-01", "1999-12-31", table="a b").tree()

    parts = list(root.children.values())
    assert root.max_concurrent == 4
    assert (len(parts), next(iter(root.children))) == (11, "1990-01-01..1990-11-29")
    assert all(list(part.children) == ["Generate", "Execute"] for part in parts)
    command = str(parts[0]["Generate"].command)
    assert command.startswith("conducto partition-items ")
    assert root.image is not None

    document = {"keys": "1990-01-01 1990-01-02", "zone": "Europe/Berlin", "words": ["--table=a b"]}
    made = partition_items.expand(nightly, document)

    assert "load a b 1990-01-02" in pretty(made, strict=False)
    assert SEEN[-1].zone == "Europe/Berlin"


def test_plan_of_a_large_backfill_has_all_commands() -> None:
    root = backfill("1990-01-01", "1999-12-31").tree(whole=True)

    assert len(root.children) == 3652


def test_tree_that_cannot_be_made_later_says_why(capsys: pytest.CaptureFixture[str]) -> None:
    document = {"keys": "2020-01-01", "zone": "UTC", "words": ["--gone=1"]}

    partition_items.run("partition-items", [__file__, "nightly", json.dumps(document)])

    assert "Unknown argument: --gone" in capsys.readouterr().out


def test_partitions_are_needed_for_a_backfill() -> None:
    with pytest.raises(SystemExit):
        co.main({"nightly": nightly}, argv=["nightly", "--backfill", ".."], filename="p.py")
    with pytest.raises(UsageError, match=r"annotate it: partition: co\.Partition"):
        partitions.value_of(
            signature_of(lambda partition=1: None).parameters["partition"],
            co.Partition("2020-01-01"),
        )
