"""Schema of the cloud's records: its number, and the steps from the first schema to it. Pure.

Each item of the table has the number of the schema that it was written in, and so does the key of
each tree in the bucket. Readers get the newest shape: an older record goes through the steps since
(docs/decisions/0013). A record of a newer schema is refused, so functions of an older version that
were deployed over newer ones change nothing.

A step that was released stays as it is. To change the shape of a released record, add a step to
the end of `STEPS`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

#: Attribute of an item that has the number.
ATTRIBUTE = "schema_version"

Kind = Literal[
    "record",
    "entry",
    "changes",
    "attempt",
    "spilled",
    "outgoing",
    "snapshot",
    "sign of life",
    "files",
    "chunk",
    "org",
    "share",
    "usage",
    "metered",
    "spent",
    "token",
    "shell",
    "follower",
    "connection",
    "answer",
    "definition",
    "tree",
]
#: Returns the attributes of an item, or the JSON that it or an object of the bucket holds, as the
#: next schema has them; what it is given stays as it is.
Change = Callable[[Any], Any]


class NewerRecordError(Exception):
    """A newer version of the functions wrote it; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Step:
    """From one schema to the next; kinds that are not named stayed as they were.

    Attributes:
        items: Changes of attributes. Those of an index cannot be changed so: what an index has of
            an item is not read again, and needs an index of its own.
        bodies: Changes of JSON: of each line, where there are many (changes, notifications,
            spilled attempts).
    """

    items: Mapping[Kind, Change] = field(default_factory=dict)
    bodies: Mapping[Kind, Change] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Schema:
    """A schema: the steps from the first to it."""

    steps: Sequence[Step]

    @property
    def number(self) -> int:
        """Its number, counted from 1."""
        return len(self.steps) + 1

    def item(self, kind: Kind, attributes: Mapping[str, Any]) -> dict[str, Any]:
        """Return an item's attributes in this schema; its number stays that of its body.

        Raises:
            NewerRecordError: it is of a newer schema.
        """
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
        """Return the number that an item says; raises `NewerRecordError`."""
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
