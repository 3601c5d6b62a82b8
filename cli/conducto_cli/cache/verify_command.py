"""``conducto cache verify``: run cached commands again, and compare their outcomes."""

# ruff: noqa: PLC0415
# `--help` and completion import this module: the client's imports wait until the command runs.

from __future__ import annotations

import random
import time
from dataclasses import asdict, dataclass
from math import ceil
from typing import TYPE_CHECKING

from conducto.errors import ConductoError, UsageError
from conducto_cli.app.exit import DONE, FAILED
from conducto_cli.app.output import as_json
from conducto_cli.text.text import count_of, printable

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from conducto_cli.app.arguments import Parser
    from conducto_cli.target.connection import OpenClient
    from conducto_client.client import Client
    from conducto_core.cache.model import CacheItem
    from conducto_core.run.model.records import AttemptRecord, CacheSource

_DIGITS = frozenset("0123456789abcdef")
_LEAST = 8
#: Seconds until the entry of an ended attempt is written.
_WRITTEN_SECONDS = 20.0


@dataclass(frozen=True)
class Verified:
    """The comparison of the outcome of one command.

    Attributes:
        entry: The ID of its entry.
        source: The attempt whose outcome it has.
        attempt: The attempt that ran now; None: it did not run.
        differs: The result and the files that differ; the entry is deleted.
        problem: Why nothing was compared, or None.
    """

    entry: str
    source: str
    attempt: str | None = None
    differs: tuple[str, ...] = ()
    problem: str | None = None

    @property
    def text(self) -> str:
        """The comparison as a sentence."""
        source = printable(self.source)
        if self.problem is not None:
            return f"{source}: {printable(self.problem)}"
        attempt = printable(self.attempt or "")
        if not self.differs:
            return f"{attempt} has the same result and files as {source}"
        names = ", ".join(map(printable, self.differs))
        return (
            f"{attempt} is not reproducible: {names} differ from {source}; its entry {self.entry} "
            "is deleted"
        )


def add_arguments(parser: Parser) -> None:
    parser.add_argument(
        "id",
        metavar="ID",
        nargs="?",
        help="ID of an entry, as listed, or of a pipeline; with --sample, a text in a pipeline, "
        "path or program",
    )
    parser.add_argument("path", metavar="PATH", nargs="?", help="the command, of a pipeline")
    parser.add_argument(
        "--sample", metavar="PERCENT", help="a random part of the entries, such as 5%%"
    )


def run(arguments: argparse.Namespace, open_client: OpenClient) -> int:
    with open_client() as client:
        if arguments.sample is None:
            pipeline, path, entry = _command(client, arguments.id, arguments.path)
            found = [_verified(client, pipeline, path, entry)]
            problem = found[0].problem
            if problem is not None:
                raise ConductoError(f"{found[0].source}: {problem}")
            print(as_json(asdict(found[0])) if arguments.json else found[0].text)
            return FAILED if found[0].differs else DONE
        if arguments.path is not None:
            raise UsageError("--sample takes entries by chance; leave PATH out")
        share = share_of(arguments.sample)
        found = []
        for each in _sampled(client, arguments.id or "", share):
            found.append(each)
            if not arguments.json:
                print(each.text, flush=True)
    if arguments.json:
        print(as_json([asdict(each) for each in found]))
    else:
        print(_summary(found))
    return FAILED if any(each.differs for each in found) else DONE


def share_of(text: str) -> float:
    """Return the share that a percentage names; raises `UsageError`."""
    try:
        share = float(text.removesuffix("%")) / 100
    except ValueError:
        share = 0.0
    if not 0 < share <= 1:
        raise UsageError(f"--sample is a percentage from 0 to 100, such as 5%, got {text!r}")
    return share


def entry_id(given: str) -> str:
    """Return the ID of an entry; raises `UsageError`."""
    if len(given) < _LEAST or not _DIGITS.issuperset(given):
        raise UsageError(f"expected the ID of an entry, got {given!r}; see 'conducto cache list'")
    return given


def _sampled(client: Client, text: str, share: float) -> Iterator[Verified]:
    """Yield the comparisons of a random part of the last used entries, at least of one."""
    from conducto_client import ClientError
    from conducto_core.cache.model import MAX_LISTED, CacheQuery

    entries = client.list_cache(CacheQuery(text=text, limit=MAX_LISTED)).entries
    chosen = random.sample(entries, ceil(len(entries) * share))
    for entry in chosen:
        source = entry.source
        try:
            yield _verified(client, source.pipeline, source.path, entry)
        except (ClientError, ConductoError) as error:  # for example, its pipeline is deleted
            yield Verified(entry.id, source.text, problem=f"was not run again: {error}")


def _summary(found: list[Verified]) -> str:
    ran = [each for each in found if each.problem is None]
    differ = sum(bool(each.differs) for each in ran)
    left = len(found) - len(ran)
    rest = f"; {left:,} not compared" if left else ""
    return f"{count_of(len(ran), 'command')} ran again, {differ:,} not reproducible{rest}"


def _command(client: Client, given: str | None, path: str | None) -> tuple[str, str, CacheItem]:
    """Return the pipeline and path of a command, and its entry."""
    from conducto_cli.target import lookup
    from conducto_core.cache.model import CacheEntryParams

    if given is None:
        raise UsageError("say which command: conducto cache verify ID [PATH], or --sample 5%")
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


def _verified(client: Client, pipeline: str, path: str, entry: CacheItem) -> Verified:
    """Run a command again, compare its outcome with an entry, and delete that if it differs."""
    from conducto_core.cache.model import CacheEntryParams

    source = entry.source.text
    attempt = _run_again(client, pipeline, path)
    text = f"{attempt.path} attempt {attempt.number}"
    after = _entry_of(client, pipeline, attempt)
    if isinstance(after, str):
        return Verified(entry.id, source, problem=f"{text} cannot be compared: {after}")
    if after.id != entry.id:
        why = f"{text} had other inputs than {source}: it has a new entry"
        return Verified(entry.id, source, problem=why)
    if after.varies:
        client.delete_cache_entry(CacheEntryParams(id=after.id))
    return Verified(entry.id, source, text, after.varies)


def _run_again(client: Client, pipeline: str, path: str) -> AttemptRecord:
    """Run a command without the cache in its pipeline; return its new attempt."""
    from conducto_core.run.model.requests import Action, ControlRequest
    from conducto_core.run.model.states import FINISHED

    cursor = client.get(pipeline).seq
    number = len(client.attempts(pipeline, path))
    client.control(pipeline, ControlRequest(action=Action.RERUN, paths=(path,)))
    for batch in client.events(pipeline, cursor):
        ends = (each for each in batch.changes if each.path == path and each.attempt > number)
        if any(each.state in FINISHED for each in ends):
            break
    return client.attempts(pipeline, path)[-1]


def _entry_of(client: Client, pipeline: str, attempt: AttemptRecord) -> CacheItem | str:
    """Return the entry of an attempt that has just ended, or why it has none."""
    why = attempt.not_stored
    end = time.monotonic() + _WRITTEN_SECONDS
    while why is None:
        found = _find(client, pipeline, attempt)
        if found is not None:
            return found
        if time.monotonic() > end:
            return "its entry was not written"
        time.sleep(0.2)
    return why


def _find(client: Client, pipeline: str, attempt: AttemptRecord) -> CacheItem | None:
    from conducto_core.cache.model import MAX_LISTED, CacheQuery

    source = attempt.from_cache
    made_by = (pipeline, attempt.path, attempt.number) if source is None else _key(source)
    query = CacheQuery(text=f"{made_by[0]} {made_by[1]}", limit=MAX_LISTED)
    found = client.list_cache(query).entries
    return next((each for each in found if _key(each.source) == made_by), None)


def _key(source: CacheSource) -> tuple[str, str, int]:
    return source.pipeline, source.path, source.attempt
