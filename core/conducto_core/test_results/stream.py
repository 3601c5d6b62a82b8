"""The stream of an attempt with its tests: a line with the problems, then one for each test."""

import json
from collections.abc import Iterable, Sequence

from pydantic import ValidationError

from conducto_core.results.outputs import objects_in
from conducto_core.test_results.model import TestResult


def results_in(data: bytes) -> tuple[list[TestResult], tuple[str, ...]]:
    """Return the tests and the problems in a kept stream; it may end anywhere."""
    tests: list[TestResult] = []
    problems: tuple[str, ...] = ()
    for line in objects_in(data):
        if "problems" in line:
            problems = tuple(map(str, line["problems"]))
            continue
        try:
            tests.append(TestResult.model_validate(line))
        except ValidationError:  # of a newer version
            continue
    return tests, problems


def to_stream(problems: Sequence[str], tests: Iterable[TestResult]) -> bytes:
    """Return the stream with problems and tests."""
    lines = [json.dumps({"problems": problems})]
    lines += [each.model_dump_json(exclude_defaults=True) for each in tests]
    return ("\n".join(lines) + "\n").encode()
