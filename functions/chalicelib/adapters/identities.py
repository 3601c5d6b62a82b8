"""People at identity providers: their users in organisations, and the ID tokens that they used."""

from collections.abc import Mapping

from chalicelib.adapters import table_keys
from chalicelib.adapters.dynamodb import DynamoTable
from chalicelib.ports.errors import ConflictError
from chalicelib.ports.identity import VerifiedPerson


class TableIdentities:
    """A `chalicelib.ports.identity.Identities`."""

    def __init__(self, table: DynamoTable) -> None:
        self._table = table

    def memberships(self, person: VerifiedPerson) -> Mapping[str, str]:
        """Return ``{organisation: user id}`` of a person, by organisation."""
        first = table_keys.person(person.issuer, person.subject, "")
        found = self._table.range(first.partition, first.sort, first.sort + table_keys.LAST)
        return {sort.removeprefix(first.sort): str(item["user"]) for sort, item in found}

    def unlink(self, issuer: str, subject: str, org: str) -> None:
        """Delete a person's membership of an organisation, if there is one."""
        self._table.delete(table_keys.person(issuer, subject, org))

    def consume(self, digest: str, expires: float) -> bool:
        """Mark an ID token as used; return True for exactly one of concurrent callers."""
        key = table_keys.used(digest)
        try:
            # One second more, because DynamoDB deletes expired items by whole seconds.
            self._table.put_where(
                key, {"expires": int(expires) + 1}, "attribute_not_exists(expires)"
            )
        except ConflictError:
            return False
        return True
