"""The journal in memory: `JournalStore` over the in-memory DynamoDB and bucket."""

from typing import TypeVar

from tests.fakes.cloud.storage import FakeBlobs

from chalicelib.aws.dynamodb import DynamoTable
from chalicelib.people.aws.organisations import TableOrgs
from chalicelib.run.aws.journal import JournalStore

S = TypeVar("S", bound=JournalStore)


def memory_store(table: DynamoTable, orgs: TableOrgs, store: type[S]) -> S:
    """Return a store whose objects are in memory."""
    return store(table, FakeBlobs(), orgs)  # type: ignore[arg-type]
