"""The matrix of a job: its combinations, as loops of Python."""

from __future__ import annotations

from itertools import product
from math import prod
from typing import TYPE_CHECKING

from conducto_cli.import_github.expressions import Code, UntranslatedError
from conducto_cli.import_github.script import Call, identifier, source

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from conducto_cli.import_github.workflow import Item

    Combination = dict[str, str | bool]

_CHANGES = ("include", "exclude")


class Matrix:
    """The combinations of a matrix, all with the same keys.

    Attributes:
        combinations: All of them; one without keys if there is no matrix.
        dimensions: ``{key: its values}`` of the keys that have more than one.
        variables: ``{key: Python variable}`` of the same.
    """

    def __init__(self, combinations: list[Combination], reserved: Iterable[str] = ()) -> None:
        """Store the combinations; variables get none of the reserved names."""
        keys = dict.fromkeys(key for each in combinations for key in each)
        self.combinations = [{key: each.get(key, "") for key in keys} for each in combinations]
        values = {key: [*dict.fromkeys(each[key] for each in self.combinations)] for key in keys}
        self.dimensions = {key: found for key, found in values.items() if len(found) > 1}
        taken = {"co", "root", "job", *reserved}
        self.variables = {key: identifier(key, taken) for key in self.dimensions}

    def code(self, key: str) -> Code:
        if key in self.variables:
            boolean = all(isinstance(each, bool) for each in self.dimensions[key])
            return Code.variable(self.variables[key], boolean=boolean)
        return Code.from_constant(self.combinations[0].get(key, ""))

    def loops(self, indent: str) -> Iterator[str]:
        """Yield the heads of the loops over the combinations."""
        if prod(map(len, self.dimensions.values())) == len(self.combinations):
            for key, values in self.dimensions.items():
                start = f"for {self.variables[key]} in "
                yield f"{start}{source([*values], indent, len(start), 1)}:"
                indent += "    "
            return
        start = f"for {', '.join(self.variables.values())} in "
        rows = [[each[key] for key in self.dimensions] for each in self.combinations]
        texts = [row[0] if len(row) == 1 else Call("", row) for row in rows]
        yield f"{start}{source(texts, indent, len(start), 1)}:"


def read(job: Item, reserved: Iterable[str]) -> Matrix:
    """Return the matrix of a job, whose variables have none of the reserved names.

    Raises:
        UntranslatedError: its values are known only while the workflow runs.
    """
    strategy = job.get("strategy")
    matrix = None if strategy is None else strategy.get("matrix")
    if matrix is None:
        return Matrix([{}])
    if isinstance(matrix.content, str):
        raise _computed()
    lists = {key: _values(each) for key, each in matrix.fields().items() if key not in _CHANGES}
    included, excluded = (_entries(matrix.get(key)) for key in _CHANGES)
    crossed = [dict(zip(lists, each, strict=True)) for each in product(*lists.values()) if each]
    original = [each for each in crossed if not any(_fits(each, one) for one in excluded)]
    found = [dict(each) for each in original]
    for entry in included:
        own = {key: value for key, value in entry.items() if key in lists}
        fitting = [one for one, was in zip(found, original, strict=False) if _fits(was, own)]
        for one in fitting:
            one.update(entry)
        if not fitting:
            found.append(entry)
    return Matrix(found, reserved)


def _fits(combination: Combination, part: Combination) -> bool:
    return combination.items() >= part.items()


def _values(values: Item) -> list[str | bool]:
    if not isinstance(values.content, list):
        raise _computed()
    if not all(isinstance(each.content, str) for each in values.content):
        raise _computed()
    if any("${{" in each.text for each in values.content):
        raise _computed()
    return [each.value for each in values.content]


def _entries(entries: Item | None) -> list[Combination]:
    if entries is not None and isinstance(entries.content, str):
        raise _computed()
    found = [] if entries is None else entries.each()
    return [{key: each.value for key, each in entry.fields().items()} for entry in found]


def _computed() -> UntranslatedError:
    return UntranslatedError(
        "a matrix with computed or nested values; make the nodes in a loop of the script, or with "
        "co.map if the values are known only while the pipeline runs"
    )
