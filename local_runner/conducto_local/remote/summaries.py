"""The list of pipelines in the cloud: changes since the last acknowledged ones."""

import asyncio
import hashlib
import json
import os
import secrets
from collections.abc import AsyncIterator, Iterator
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path
from typing import Any

from conducto_core.api.pipelines import Pipelines
from conducto_core.remote.model import MAX_FRAME, Summaries
from conducto_core.run.model.params import ListParams
from conducto_core.run.model.requests import PipelineSummary
from conducto_local.remote.connection import Channel

# ----------------------------------------------------------------------------------------
# The files of a link: its epoch, its state for ``conducto agent status``, what the cloud knows.


_PRIVATE_FILE = 0o600
_PRIVATE = 0o700
#: Number of connections by which a person moves an identity back from a copy.
_TAKE_OVER = 1000


@dataclass(frozen=True, slots=True)
class LinkStatus:
    """The state of a link.

    Attributes:
        state: ``connected``, ``connecting``, ``waiting`` for the next attempt, ``rejected`` by the
            installation, ``stopped`` until the machine is linked again, or ``closed`` since the
            agent stopped.
        since: In seconds since the epoch.
        problem: Why it is not connected, as a sentence.
        pid: The agent's process.
    """

    state: str
    since: float
    problem: str | None = None
    pid: int = 0


class LinkFiles:
    """The directory ``agent/link`` of a profile.

    Attributes:
        directory: Accessible to its owner only.
    """

    def __init__(self, agent_directory: Path) -> None:
        self.directory = agent_directory / "link"

    def next_epoch(self) -> int:
        """Return a higher number with each call, also after a restart or a crash."""
        found = self._read("epoch")
        epoch = (found if isinstance(found, int) else 0) + 1
        self._write("epoch", epoch)
        return epoch

    def take_over(self) -> None:
        """Make the next epoch higher than that of a copy of these files."""
        found = self._read("epoch")
        self._write("epoch", (found if isinstance(found, int) else 0) + _TAKE_OVER)

    def read_status(self) -> LinkStatus | None:
        """Return the state that the newest agent wrote."""
        found = self._read("status")
        try:
            return LinkStatus(**found)
        except TypeError:
            return None

    def write_status(self, status: LinkStatus) -> None:
        self._write("status", asdict(status))

    def read_known(self) -> tuple[int, dict[str, str]]:
        """Return the cursor of the last acknowledged summaries, and ``{pipeline: digest}``."""
        found = self._read("known")
        try:
            return int(found["cursor"]), {str(k): str(v) for k, v in found["pipelines"].items()}
        except (TypeError, KeyError, ValueError, AttributeError):
            return 0, {}

    def write_known(self, cursor: int, pipelines: dict[str, str]) -> None:
        """Record what the cloud has acknowledged."""
        self._write("known", {"cursor": cursor, "pipelines": pipelines})

    def is_remote(self, pipeline: str) -> bool:
        """Return whether a pipeline, given by an id or a prefix of one, came through the link."""
        return any(one.startswith(pipeline) or pipeline.startswith(one) for one in self._remote())

    def note_remote(self, pipeline: str) -> None:
        """Record that a pipeline, given like that, was launched or changed through the link."""
        known = self._remote()
        if pipeline not in known:
            self._write("remote", [*known, pipeline])

    def remote_schedules(self) -> list[str]:
        return self._words("schedules")

    def note_remote_schedule(self, name: str) -> None:
        known = self.remote_schedules()
        if name not in known:
            self._write("schedules", [*known, name])

    def forget(self) -> None:
        """Forget what the cloud knows and the state; the epoch and the origins are kept."""
        for name in ("status", "known"):
            (self.directory / name).unlink(missing_ok=True)

    def _remote(self) -> list[str]:
        return self._words("remote")

    def _words(self, name: str) -> list[str]:
        found = self._read(name)
        return [one for one in found if isinstance(one, str)] if isinstance(found, list) else []

    def _read(self, name: str) -> Any:
        try:
            return json.loads((self.directory / name).read_bytes())
        except (OSError, ValueError):
            return None

    def _write(self, name: str, value: object) -> None:
        self.directory.mkdir(mode=_PRIVATE, parents=True, exist_ok=True)
        draft = self.directory / f"{name}.{secrets.token_hex(4)}"
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _PRIVATE_FILE)
        with os.fdopen(descriptor, "w") as file:
            json.dump(value, file)
        draft.replace(self.directory / name)


#: Seconds between two looks at the newest pipelines, and looks until the next one at all of them.
LOOK_SECONDS = 2.0
_WHOLE_EVERY = 30
#: Pipelines that are read each time; other ones change through requests, or with the time.
_NEWEST = 50
_MAX_BYTES = MAX_FRAME - 2000
#: Maximum number of pipelines in the cloud's list, the newest.
_MAX_LISTED = 1000
_PAGE = 200
_MAX_TITLE = 1000


@dataclass(frozen=True, slots=True)
class _Known:
    cursor: int
    digests: dict[str, str]


class SummarySender:
    """Sends what changed, and remembers what the cloud acknowledged.

    Args:
        files: Keep the acknowledged state, also after a restart.
    """

    def __init__(self, pipelines: Pipelines, channel: Channel, files: LinkFiles) -> None:
        self._pipelines = pipelines
        self._channel = channel
        self._files = files
        self._known = _Known(*files.read_known())
        self._changed = asyncio.Event()
        self._replace = True

    @property
    def cursor(self) -> int:
        """Cursor of the last acknowledged summaries."""
        return self._known.cursor

    def scan(self) -> None:
        """Look at all pipelines now: a request may have changed some."""
        self._changed.set()

    def welcomed(self, cursor: int) -> None:
        """Continue after the cursor of the cloud, or send everything if it is another one."""
        if cursor == 0 or cursor != self._known.cursor:
            self._replace = True
            self._known = _Known(max(cursor, self._known.cursor), {})
        else:
            self._replace = False
        self._changed.set()

    async def run(self, seconds: float = LOOK_SECONDS) -> None:
        """Send changes until cancelled; the first ones after a welcome.

        Args:
            seconds: Between two looks.
        """
        await self._changed.wait()
        for looks in count():
            whole = self._changed.is_set() or self._replace or looks % _WHOLE_EVERY == 0
            self._changed.clear()
            await self.send(whole=whole)
            await asyncio.sleep(seconds)

    async def send(self, *, whole: bool) -> None:
        """Send the pipelines that changed; with ``whole``, look at all, and report deleted ones."""
        found = {one.pipeline.id: one async for one in _listed(self._pipelines, whole=whole)}
        digests = {name: _digest(one) for name, one in found.items()}
        known = {} if self._replace else self._known.digests
        changed = [found[name] for name, d in digests.items() if known.get(name) != d]
        removed = [name for name in known if name not in digests] if whole else []
        if not changed and not removed and not self._replace:
            return
        for chunk in _chunks(changed):
            await self._send_chunk(chunk, ())
        if removed or self._replace:
            await self._send_chunk([], tuple(removed))

    async def _send_chunk(self, chunk: list[PipelineSummary], removed: tuple[str, ...]) -> None:
        cursor, replace = self._known.cursor + 1, self._replace
        await self._channel.send_acked(
            lambda n: Summaries(
                n=n, cursor=cursor, replace=replace, pipelines=tuple(chunk), removed=removed
            )
        )
        before = {} if replace else self._known.digests
        kept = {name: digest for name, digest in before.items() if name not in removed}
        digests = kept | {one.pipeline.id: _digest(one) for one in chunk}
        self._known = _Known(max(cursor, self._known.cursor), digests)
        self._files.write_known(self._known.cursor, digests)
        if replace:  # otherwise a new connection may have requested a replacement meanwhile
            self._replace = False


async def _listed(pipelines: Pipelines, *, whole: bool) -> AsyncIterator[PipelineSummary]:
    """Yield the newest pipelines, or all up to the maximum."""
    after, seen = None, 0
    while True:
        limit = _PAGE if whole else _NEWEST
        page = await pipelines.list_pipelines(ListParams(lifecycle="all", after=after, limit=limit))
        for one in page.pipelines:
            yield brief(one)
        seen += len(page.pipelines)
        after = page.next
        if after is None or not whole or seen >= _MAX_LISTED:
            return


def _chunks(summaries: list[PipelineSummary]) -> Iterator[list[PipelineSummary]]:
    chunk: list[PipelineSummary] = []
    size = 0
    for one in summaries:
        length = len(one.model_dump_json().encode())
        if chunk and size + length > _MAX_BYTES:
            yield chunk
            chunk, size = [], 0
        chunk.append(one)
        size += length + 1
    if chunk:
        yield chunk


def brief(summary: PipelineSummary, limit: int = _MAX_BYTES // 4) -> PipelineSummary:
    """Return a summary of at most ``limit`` bytes, without its largest parts if necessary.

    Errors of images, descriptions and arguments have no limit of their own.
    """
    record = summary.pipeline
    bare = {"title": record.title[:_MAX_TITLE], "doc": None, "problem": None}
    parts: tuple[dict[str, object], ...] = (
        {},
        {"images": (), "rounds": ()},
        {"pipeline": record.model_copy(update=bare)},
        {"pipeline": record.model_copy(update={**bare, "tags": (), "arguments": {}})},
    )
    for update in parts:
        summary = summary.model_copy(update=update)
        if len(summary.model_dump_json().encode()) <= limit:
            break
    return summary


def _digest(summary: PipelineSummary) -> str:
    data = summary.model_dump_json().encode()
    return hashlib.blake2b(data, digest_size=8).hexdigest()
