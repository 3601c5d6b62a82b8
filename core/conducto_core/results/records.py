"""Records in streams of an attempt, one in each line, and records that are kept compressed."""

import gzip
import json
import logging
import zlib
from collections.abc import Iterable, Sequence
from typing import TypeVar

from pydantic import ValidationError

from conducto_core.record import Record
from conducto_core.results.outputs import objects_in

R = TypeVar("R", bound=Record)

logger = logging.getLogger(__name__)


def records_in(data: bytes, kind: type[R]) -> tuple[list[R], tuple[str, ...]]:
    """Return the records and the problems in a kept stream; it may end anywhere."""
    records: list[R] = []
    problems: tuple[str, ...] = ()
    for line in objects_in(data):
        if "problems" in line:
            problems = tuple(map(str, line["problems"]))
            continue
        try:
            records.append(kind.model_validate(line))
        except ValidationError:  # cut, or of a newer version
            continue
    return records, problems


def to_stream(problems: Sequence[str], records: Iterable[Record]) -> bytes:
    lines = [json.dumps({"problems": problems})]
    lines += [each.model_dump_json(exclude_defaults=True) for each in records]
    return ("\n".join(lines) + "\n").encode()


def compressed(record: Record) -> bytes:
    """Return a record, compressed; equal records have equal bytes."""
    return gzip.compress(record.model_dump_json(exclude_defaults=True).encode(), 6, mtime=0)


def decompressed(stored: bytes | None, kind: type[R], most: int) -> R:
    """Return a compressed record; an empty one if there is none or it cannot be read.

    Args:
        stored: Its bytes.
        kind: Its type.
        most: Maximum bytes that are unpacked.
    """
    if stored is None:
        return kind()
    try:
        return kind.model_validate_json(zlib.decompressobj(wbits=31).decompress(stored, most))
    except (ValueError, zlib.error, ValidationError) as error:
        logger.warning("%s cannot be read and is made again: %s", kind.__name__, error)
        return kind()
