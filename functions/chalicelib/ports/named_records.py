"""Records of an organisation under names: trusts, notification rules and triggers."""

from collections.abc import Sequence
from typing import Any, Protocol, TypeVar


class Named(Protocol):
    """A record with a name."""

    @property
    def name(self) -> str:
        """Its name, unique in its organisation."""

    def model_dump_json(self) -> str:
        """Return it as JSON."""

    @classmethod
    def model_validate_json(cls, json_data: str) -> Any:
        """Return the record that JSON describes."""


R = TypeVar("R", bound=Named)


class NamedRecords(Protocol[R]):
    """The records of one kind, of all organisations."""

    def all_of(self, org: str) -> Sequence[R]:
        """Return the records of an organisation, by name."""

    def get(self, org: str, name: str) -> R | None:
        """Return a record."""

    def put(self, org: str, record: R) -> None:
        """Store a record, replacing one of the same name."""

    def delete(self, org: str, name: str) -> bool:
        """Delete a record; return whether there was one."""
