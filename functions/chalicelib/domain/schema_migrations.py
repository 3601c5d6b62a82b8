"""The schema of the cloud's records: its number, and the steps from the first schema. Pure.

Each item of the table has the number of the schema in which it was written, and so does the key of
each tree in the bucket. Readers get the current schema: an older record goes through the steps
since then (docs/decisions/0013). A record of a newer schema is rejected, so that an older version
of the functions cannot change it.

Do not change a released step. To change a released record, append a step to `STEPS`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

#: Attribute of an item with the schema number.
ATTRIBUTE = "schema_version"

#: A kind of items, as `chalicelib.adapters.table_keys` names it, or of objects in the bucket.
Kind = str
#: Returns the attributes of an item, or the JSON of an item or object, in the next schema, without
#: modifying its argument.
Change = Callable[[Any], Any]


class NewerRecordError(Exception):
    """The record was written by a newer version; the message has the remedy."""


@dataclass(frozen=True, slots=True)
class Step:
    """A step from one schema to the next; kinds that are not listed are unchanged.

    Attributes:
        items: Changes of attributes. Attributes of an index cannot be changed this way: the index
            is not rewritten, and a changed one needs a new index.
        bodies: Changes of JSON: of each line in kinds with several (changes, notifications, spilled
            attempts).
    """

    items: Mapping[Kind, Change] = field(default_factory=dict)
    bodies: Mapping[Kind, Change] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Schema:
    """A schema: the steps from the first schema to this one."""

    steps: Sequence[Step]

    @property
    def number(self) -> int:
        """Its number, counted from 1."""
        return len(self.steps) + 1

    def item(self, kind: Kind, attributes: Mapping[str, Any]) -> dict[str, Any]:
        """Return an item's attributes in this schema; its number stays that of its body."""
        written = self.number_of(kind, attributes)
        found: Any = dict(attributes)
        for step in self.steps[written - 1 :]:
            found = step.items.get(kind, _as_it_is)(found)
        return {**found, ATTRIBUTE: written}

    def body(self, kind: Kind, written: int, document: Any) -> Any:
        """Return the JSON of schema ``written`` in this schema; raises `NewerRecordError`."""
        self._check(kind, written)
        for step in self.steps[written - 1 :]:
            document = step.bodies.get(kind, _as_it_is)(document)
        return document

    def is_older(self, kind: Kind, written: int) -> bool:
        """Return whether a body of schema ``written`` has changed since; raises as `body`."""
        self._check(kind, written)
        return any(kind in step.bodies for step in self.steps[written - 1 :])

    def number_of(self, kind: Kind, attributes: Mapping[str, Any]) -> int:
        """Return an item's schema number; raises `NewerRecordError`."""
        written = int(attributes[ATTRIBUTE])
        self._check(kind, written)
        return written

    def _check(self, kind: Kind, written: int) -> None:
        if written > self.number:
            raise NewerRecordError(
                f"a newer version of Conducto wrote this {kind} (schema {written}, this version "
                f"knows up to {self.number}): nothing was changed; deploy the newer version again"
            )


def _as_it_is(found: Any) -> Any:
    return found


#: Version 1 is the only schema so far.
STEPS: tuple[Step, ...] = ()
SCHEMA = Schema(STEPS)
