"""``conducto cache verify``: run a cached command again, and compare its outcome."""

# ruff: noqa: PLC0415
# `--help` and completion import this module: the client's imports wait until the command runs.

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from conducto.errors import ConductoError, UsageError
from conducto_cli.app.exit import DONE, FAILED
from conducto_cli.app.output import as_json
from conducto_cli.text.text import printable

if TYPE_CHECKING:
    import argparse

    from conducto_cli.app.arguments import Parser
    from conducto_cli.target.connection import OpenClient
    from conducto_client.client import Client
    from conducto_core.cache.model import CacheItem
    from conducto_core.run.model.records import AttemptRecord, CacheSource

_DIGITS = frozenset("0123456789abcdef")
_LEAST = 8
#: Seconds until the entry of an ended attempt is written.
_WRITTEN_SECONDS = 20.0


def add_arguments(parser: Parser) -> None:
    parser.add_argument("id", metavar="ID", help="ID of an entry, as listed, or of a pipeline")
    parser.add_argument("path", metavar="PATH", nargs="?", help="the command, of a pipeline")


def run(arguments: argparse.Namespace, open_client: OpenClient) -> int:
    with open_client() as client:
        pipeline, path, before = _command(client, arguments.id, arguments.path)
        attempt = _run_again(client, pipeline, path)
        after = _entry_of(client, pipeline, attempt)
    if arguments.json:
        print(as_json(after))
    else:
        print(_report(attempt, before, after))
    return DONE if before.id == after.id and not after.varies else FAILED


def entry_id(given: str) -> str:
    """Return the ID of an entry; raises `UsageError`."""
    if len(given) < _LEAST or not _DIGITS.issuperset(given):
        raise UsageError(f"expected the ID of an entry, got {given!r}; see 'conducto cache list'")
    return given


def _command(client: Client, given: str, path: str | None) -> tuple[str, str, CacheItem]:
    """Return the pipeline and path of a command, and its entry."""
    from conducto_cli.target import lookup
    from conducto_core.cache.model import CacheEntryParams

    if path is None:
        if "-" in given:
            raise UsageError(f"say which command: conducto cache verify {given} PATH")
        entry = client.get_cache_entry(CacheEntryParams(id=entry_id(given)))
        return entry.source.pipeline, entry.source.path, entry
    pipeline = lookup.find_pipeline(client, given).pipeline.id
    path = lookup.one_exec(client, pipeline, path)
    attempts = client.attempts(pipeline, path)
    if not attempts:
        raise ConductoError(f"{pipeline} {path} has not run")
    found = _find(client, pipeline, attempts[-1])
    if found is None:
        why = attempts[-1].not_stored or attempts[-1].cache or "it has no cache"
        raise ConductoError(f"{pipeline} {path} has no entry in the cache: {why}")
    return pipeline, path, found


def _run_again(client: Client, pipeline: str, path: str) -> AttemptRecord:
    """Run a command without the cache in its pipeline; return its new attempt."""
    from conducto_core.run.model.requests import Action, ControlRequest
    from conducto_core.run.model.states import FINISHED

    cursor = client.get(pipeline).seq
    number = len(client.attempts(pipeline, path))
    client.control(pipeline, ControlRequest(action=Action.RESET, paths=(path,)))
    client.control(pipeline, ControlRequest(action=Action.RUN))
    for batch in client.events(pipeline, cursor):
        ends = (each for each in batch.changes if each.path == path and each.attempt > number)
        if any(each.state in FINISHED for each in ends):
            break
    return client.attempts(pipeline, path)[-1]


def _entry_of(client: Client, pipeline: str, attempt: AttemptRecord) -> CacheItem:
    """Return the entry of an attempt that has just ended."""
    why = attempt.not_stored
    end = time.monotonic() + _WRITTEN_SECONDS
    while why is None:
        found = _find(client, pipeline, attempt)
        if found is not None:
            return found
        if time.monotonic() > end:
            why = "its entry was not written"
        time.sleep(0.2)
    text = f"{pipeline} {attempt.path} attempt {attempt.number}"
    raise ConductoError(f"{text} cannot be compared: {why}")


def _find(client: Client, pipeline: str, attempt: AttemptRecord) -> CacheItem | None:
    from conducto_core.cache.model import MAX_LISTED, CacheQuery

    source = attempt.from_cache
    made_by = (pipeline, attempt.path, attempt.number) if source is None else _key(source)
    query = CacheQuery(text=f"{made_by[0]} {made_by[1]}", limit=MAX_LISTED)
    found = client.list_cache(query).entries
    return next((each for each in found if _key(each.source) == made_by), None)


def _key(source: CacheSource) -> tuple[str, str, int]:
    return source.pipeline, source.path, source.attempt


def _report(attempt: AttemptRecord, before: CacheItem, after: CacheItem) -> str:
    text = printable(f"{attempt.path} attempt {attempt.number}")
    if before.id != after.id:
        return f"{text} had other inputs than {printable(before.source.text)}: it has a new entry"
    if not after.varies:
        return f"{text} has the same result and files as {printable(before.source.text)}"
    names = ", ".join(map(printable, after.varies))
    return (
        f"{text} is not reproducible: {names} differ from {printable(before.source.text)}; its "
        f"entry {after.id} has the new outcome and is marked"
    )
