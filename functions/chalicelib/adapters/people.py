"""Members in the table: a record for listing, and a root token for each."""

from collections.abc import Mapping, Sequence
from typing import Any

from chalicelib.adapters import table_keys
from chalicelib.adapters.aws_errors import TransactionCancelledError
from chalicelib.adapters.dynamodb import DynamoTable, Item, Update
from chalicelib.adapters.tokens import TableTokens
from chalicelib.ports.errors import ConflictError, ThrottledError
from conducto_core.model.people import Member, Role


class TablePeople:
    """A `chalicelib.ports.people.People`."""

    def __init__(self, table: DynamoTable, tokens: TableTokens) -> None:
        self._table = table
        self._tokens = tokens

    def members(self, org: str) -> Sequence[Member]:
        """Return the members of an organisation, by name."""
        first = table_keys.member(org, "")
        found = self._table.range(first.partition, first.sort, first.sort + table_keys.LAST)
        return [_member(item) for _, item in found]

    def member(self, org: str, user: str) -> Member | None:
        """Return a member."""
        item = self._table.get(table_keys.member(org, user))
        return None if item is None else _member(item)

    def join(self, org: str, member: Member) -> None:
        """Add a member."""
        owners = int(member.role is Role.OWNER)
        self._write(
            f"{member.user} is already a member of {org}",
            self._table.put_operation(table_keys.member(org, member.user), _item(member), new=True),
            self._tokens.root_operation(org, member.user, member.role),
            self._table.update_operation(Update(table_keys.members(org), add={"owners": owners})),
        )

    def _write(self, conflict: str, *operations: Mapping[str, Any]) -> None:
        try:
            self._table.transact(operations)
        except TransactionCancelledError as error:
            if "ConditionalCheckFailed" in error.reasons:
                raise ConflictError(conflict) from error
            raise ThrottledError(f"DynamoDB throttled the write: {error}") from error


def _item(member: Member) -> Item:
    return {"member": member.model_dump_json()}


def _member(item: Item) -> Member:
    return Member.model_validate_json(str(item["member"]))
