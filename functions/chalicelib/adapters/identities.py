"""People at identity providers: their users in organisations, and the ID tokens that they used."""

from collections.abc import Mapping

from chalicelib.adapters import table_keys
from chalicelib.adapters.dynamodb import DynamoTable
from chalicelib.ports.identity import VerifiedPerson


class TableIdentities:
    """A `chalicelib.ports.identity.Identities`."""

    def __init__(self, table: DynamoTable) -> None:
        self._table = table

    def memberships(self, person: VerifiedPerson) -> Mapping[str, str]:
        """Return ``{organisation: user id}`` of a person, by organisation."""
        found = self._table.below(table_keys.person(person.issuer, person.subject, ""))
        return {org: str(item["user"]) for org, item in found}

    def unlink(self, issuer: str, subject: str, org: str) -> None:
        """Delete a person's membership of an organisation, if there is one."""
        self._table.delete(table_keys.person(issuer, subject, org))

    def consume(self, digest: str, expires: float) -> bool:
        """Mark an ID token as used; return True for exactly one of concurrent callers."""
        # One second more, because DynamoDB deletes expired items by whole seconds.
        return self._table.put_if(table_keys.used(digest), {"expires": int(expires) + 1})
