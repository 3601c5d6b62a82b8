"""Copies the output of attempts to a bucket of the administrator, in the background after a run.

One object per attempt: gzip of JSON Lines, first a record about the attempt, then its lines. Output
is masked before it is stored, so that the copy is, too. Keys have digests of paths, which may
contain anything, and no other text of users.
"""

import gzip
import json
import time
from collections.abc import Callable, Iterator, Sequence
from typing import IO, cast

from chalicelib.logs.port import LogKey, LogStore, Storage
from chalicelib.run.port import Blobs
from conducto_core.asl.rules.naming import Site
from conducto_core.command.environment import node_folder
from conducto_core.installation.names import log_prefix
from conducto_core.run.model.params import Stream
from conducto_core.run.model.records import AttemptRecord
from conducto_core.telemetry.rules.spans import Run

#: Bytes after which a longer line continues in a record of its own.
MAX_LINE = 1 << 16
_STREAMS: tuple[Stream, ...] = ("stdout", "stderr")
_KEPT = {"number", "state", "cause", "exit_code", "queued", "started", "ended", "image"}


def export_output(
    storage: Storage,
    site: Site,
    org: str,
    run: Run,
    attempts: Sequence[AttemptRecord],
    *,
    is_over: Callable[[], bool],
) -> int:
    """Copy the output of attempts; return the number of those that were copied in time."""
    if storage.log_bucket is None:
        return len(attempts)
    for number, attempt in enumerate(attempts):
        if number and is_over():
            return number
        folder = f"{log_prefix(site.stage)}{org}"
        _write(storage.log_bucket, storage.logs, folder, run.record.id, attempt)
    return len(attempts)


def object_key(folder: str, pipeline_id: str, attempt: AttemptRecord) -> str:
    day = time.strftime("%Y-%m-%d", time.gmtime(attempt.ended))
    node = node_folder(attempt.path).rpartition("/")[2]
    return f"{folder}/{day}/{pipeline_id}/{node}.{attempt.number}.jsonl.gz"


def _write(
    bucket: Blobs, logs: LogStore, folder: str, pipeline_id: str, attempt: AttemptRecord
) -> None:
    writer = bucket.writer(object_key(folder, pipeline_id, attempt))
    try:
        with gzip.GzipFile(fileobj=cast("IO[bytes]", writer), mode="wb", mtime=0) as packed:
            org = folder.rpartition("/")[2]
            about = {"organisation": org, "pipeline": pipeline_id, "path": attempt.path}
            known = attempt.model_dump(mode="json", include=_KEPT, exclude_none=True)
            packed.write(_line({**about, "attempt": known.pop("number"), **known}))
            for stream in _STREAMS:
                key = LogKey(pipeline_id, attempt.path, attempt.number, stream)
                for number, text in _lines(logs, key):
                    packed.write(_line({"stream": stream, "line": number, "text": text}))
    except BaseException:
        writer.abort()
        raise
    writer.close()


def _line(record: dict[str, object]) -> bytes:
    return json.dumps(record, ensure_ascii=False).encode(errors="replace") + b"\n"


def _lines(logs: LogStore, key: LogKey) -> Iterator[tuple[int, str]]:
    """Yield the lines of a stream with their numbers, counted from 0."""
    number, rest = 0, b""
    for chunk in logs.stream(key, 0, logs.size(key)):
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            yield number, line.decode(errors="replace")
            number += 1
        while len(rest) > MAX_LINE:
            yield number, rest[:MAX_LINE].decode(errors="replace")
            rest = rest[MAX_LINE:]
    if rest:
        yield number, rest.decode(errors="replace")
