"""Records of an organisation under names, such as trusts, and documents with a version."""

from collections.abc import Callable, Sequence
from typing import Any, Generic, Protocol, TypeVar

from chalicelib.aws import table_keys
from chalicelib.aws.dynamodb import (
    MAX_INLINE,
    NEW,
    DynamoTable,
    Item,
    compress,
    decompress,
)
from conducto_core.api import problems
from conducto_core.api.idempotency import Memory
from conducto_core.api.operation import REMEMBERED_SECONDS
from conducto_core.api.problems import ProblemError


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
D = TypeVar("D")


class TableNamedRecords(Generic[R]):
    """The records of one kind, of all organisations.

    Args:
        table: The table.
        key: Returns the key of a record by organisation and name.
        model: The class of the records.
    """

    def __init__(
        self, table: DynamoTable, key: Callable[[str, str], table_keys.Key], model: type[R]
    ) -> None:
        self._table = table
        self._key = key
        self._model = model

    def list_by_name(self, org: str) -> Sequence[R]:
        return [self._parsed(item["record"]) for _, item in self._table.below(self._key(org, ""))]

    def get(self, org: str, name: str) -> R | None:
        item = self._table.get(self._key(org, name))
        return None if item is None else self._parsed(item["record"])

    def put(self, org: str, record: R) -> None:
        """Store a record, replacing one of the same name."""
        self._table.put(self._key(org, record.name), {"record": record.model_dump_json()})

    def delete(self, org: str, name: str) -> bool:
        """Delete a record; return whether there was one."""
        return self._table.delete_once(self._key(org, name))

    def _parsed(self, document: object) -> R:
        found: R = self._model.model_validate_json(str(document))
        return found


# ----------------------------------------------------------------------------------------
# Responses to requests with an idempotency key, shared by all processes of the app.


class IdempotencyTable:
    """A `conducto_core.api.idempotency.ResponseStore` of one ``(org, user)``."""

    def __init__(self, table: DynamoTable, caller: tuple[str, str]) -> None:
        self._table = table
        self._scope = "\0".join(caller)

    def recall(self, key: str, now: float) -> Memory | None:
        """Return the record of a key that has not expired at ``now``."""
        item = self._table.get(table_keys.response(self._scope, key))
        if item is None or float(item["until"]) <= now:
            return None
        response = item.get("answer")
        return Memory(str(item["fingerprint"]), response if isinstance(response, bytes) else None)

    def begin(self, key: str, fingerprint: str, now: float) -> None:
        """Record the start of a request.

        Raises:
            ProblemError: The same request is being executed by another process.
        """
        until = now + REMEMBERED_SECONDS
        item: Item = {"fingerprint": fingerprint, "until": until, "expires": int(until) + 1}
        place = table_keys.response(self._scope, key)
        if not self._table.put_if(place, item, f"{NEW} OR #until <= :now", {":now": now}):
            raise ProblemError(problems.cut_off())

    def finish(self, key: str, response: bytes) -> None:
        """Store the response; one that is too large counts as interrupted."""
        if len(response) > MAX_INLINE:
            return
        place = table_keys.response(self._scope, key)
        item = self._table.get(place)
        if item is not None:
            known = {name: value for name, value in item.items() if name in _FIELDS}
            self._table.put(place, {**known, "answer": response})

    def forget(self, key: str) -> None:
        """Delete a key, because nothing was done."""
        self._table.delete(table_keys.response(self._scope, key))


_FIELDS = frozenset({"fingerprint", "until", "expires"})


class TableDocuments(Generic[D]):
    """One document with a version for each organisation: its named limits, or its totals.

    Args:
        table: The table.
        key: Returns the key of an organisation's document.
        attribute: Name of the attribute that has it.
        parse: Returns the document that bytes describe.
        dump: Returns it as bytes.
    """

    def __init__(
        self,
        table: DynamoTable,
        key: Callable[[str], table_keys.Key],
        attribute: str,
        parse: Callable[[bytes], D],
        dump: Callable[[D], bytes],
    ) -> None:
        self._table = table
        self._key = key
        self._attribute = attribute
        self._parse = parse
        self._dump = dump

    def read(self, org: str) -> tuple[D | None, int]:
        """Return the document and its version; None and 0 without any."""
        item = self._table.get(self._key(org))
        if item is None:
            return None, 0
        return self._parse(decompress(item[self._attribute])), int(item["version"])

    def write(self, org: str, document: D, version: int) -> None:
        """Replace the document that has this version; raises `ConflictError`.

        An empty document is kept: without it, an old version could be written again.
        """
        data = compress(self._dump(document))
        item: Item = {self._attribute: data, "version": version + 1}
        if version == 0:
            self._table.put_where(self._key(org), item)
        else:
            where = "#version = :version"
            self._table.put_where(self._key(org), item, where, {":version": version})
