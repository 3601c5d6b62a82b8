"""Streams of an attempt with a record in each line, after a line with the problems, if any."""

import json
from collections.abc import Iterable, Sequence
from typing import TypeVar

from pydantic import ValidationError

from conducto_core.record import Record
from conducto_core.results.outputs import objects_in

R = TypeVar("R", bound=Record)


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
    """Return the stream with problems and records."""
    lines = [json.dumps({"problems": problems})]
    lines += [each.model_dump_json(exclude_defaults=True) for each in records]
    return ("\n".join(lines) + "\n").encode()
