"""The stream of an attempt with its coverage: a line with the problems, then one for each file."""

import json
from collections.abc import Iterable, Sequence

from pydantic import ValidationError

from conducto_core.coverage.model import FileCoverage
from conducto_core.results.outputs import objects_in


def coverage_in(data: bytes) -> tuple[list[FileCoverage], tuple[str, ...]]:
    """Return the files and the problems in a kept stream; it may end anywhere."""
    files: list[FileCoverage] = []
    problems: tuple[str, ...] = ()
    for line in objects_in(data):
        if "problems" in line:
            problems = tuple(map(str, line["problems"]))
            continue
        try:
            files.append(FileCoverage.model_validate(line))
        except ValidationError:  # of a newer version
            continue
    return files, problems


def to_stream(problems: Sequence[str], files: Iterable[FileCoverage]) -> bytes:
    """Return the stream with problems and files."""
    lines = [json.dumps({"problems": problems})]
    lines += [each.model_dump_json(exclude_defaults=True) for each in files]
    return ("\n".join(lines) + "\n").encode()
