"""Which of two versions of Conducto is the newer one."""

import re
from typing import NamedTuple

from conducto.version import __version__
from conducto_core.model.deployment import RECORD_SCHEMA

_VERSION = re.compile(r"(\d+(?:\.\d+)*)(.*)")
#: What comes after a number, the oldest first (PEP 440); what is none of these is a release.
_STEPS = (".dev", "a", "b", "rc")


class Version(NamedTuple):
    """Of an installation, or of this program.

    Attributes:
        schema: Of its records; 0 is unknown.
        name: As people know it; None: it does not say.
    """

    schema: int
    name: str | None

    def __str__(self) -> str:
        """Return it for a person."""
        return f"Conducto {self.name or 'of an unknown version'} (records of schema {self.schema})"

    def is_newer_than(self, other: "Version") -> bool:
        """Return whether it is; a version that does not say its name is judged by its records.

        >>> Version(2, "1.1.0").is_newer_than(Version(2, "1.0.0"))
        True
        >>> Version(2, "1.0.0.dev3").is_newer_than(Version(2, "1.0.0"))
        False
        >>> Version(3, None).is_newer_than(Version(2, "1.0.0"))
        True
        """
        if self.schema != other.schema:
            return self.schema > other.schema
        if self.name is None or other.name is None:
            return False
        return _order(self.name) > _order(other.name)


#: What this program deploys.
OURS = Version(RECORD_SCHEMA, __version__)


def version_from(answer: object) -> Version | None:
    """Return what the function ``admin`` answered; a newer one's answer may have more in it."""
    said = answer if isinstance(answer, dict) else {}
    schema, name = said.get("record_schema"), said.get("version")
    if not isinstance(schema, int):
        return None
    return Version(schema, name if isinstance(name, str) else None)


def _order(name: str) -> tuple[tuple[int, ...], int, tuple[int, ...]]:
    """Return what sorts versions: their numbers, then how far before a release they are."""
    found = _VERSION.match(name)
    if found is None:
        return ((), 0, ())
    numbers = [int(number) for number in found[1].split(".")]
    while numbers and numbers[-1] == 0:  # 1.0 is 1.0.0
        numbers.pop()
    step = next((n for n, word in enumerate(_STEPS) if found[2].startswith(word)), len(_STEPS))
    return (tuple(numbers), step, tuple(int(number) for number in re.findall(r"\d+", found[2])))
