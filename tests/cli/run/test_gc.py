"""`conducto gc`: its summary of the removed resources."""

import argparse
import json
from contextlib import contextmanager

import pytest

from conducto_cli.run.gc_command import run as gc
from conducto_cli.run.gc_command import size_of
from conducto_core.installation.model import GcItem, GcReport

ITEMS = (
    GcItem(kind="image", name="conducto_extended:1", bytes=3 << 20, freed=True),
    GcItem(kind="files", name="/x", bytes=0, note="files of another user are in it"),
)


class Client:
    def __init__(self, dry_run):
        self.dry_run = dry_run

    def gc(self, *, dry_run):
        assert dry_run == self.dry_run
        return GcReport(dry_run=dry_run, items=ITEMS, bytes=3 << 20, notes=("no engine",))


def run(*, dry_run=False, as_json=False):
    @contextmanager
    def opened():
        yield Client(dry_run)

    return gc(argparse.Namespace(dry_run=dry_run, json=as_json), opened)


def test_freed_and_kept_space_is_printed(capsys):
    assert run() == 0

    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split() == ["image", "3.0", "MB", "conducto_extended:1"]
    assert lines[2].endswith("stays: files of another user are in it")
    assert lines[3:] == ["no engine", "1 thing, 3.0 MB freed"]


def test_dry_run_prints_the_space_it_would_free(capsys):
    assert run(dry_run=True) == 0

    assert capsys.readouterr().out.splitlines()[-1] == "1 thing, 3.0 MB would be freed"


def test_programs_get_json(capsys):
    assert run(as_json=True) == 0

    assert json.loads(capsys.readouterr().out)["items"][0]["bytes"] == 3 << 20


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0 B"), (999, "999 B"), (1536, "1.5 KB"), (20 << 30, "20 GB"), (1 << 60, "1048576.0 TB")],
)
def test_sizes_are_for_people(number, text):
    assert size_of(number) == text
