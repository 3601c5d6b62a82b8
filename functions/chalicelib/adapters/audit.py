"""The audit log in the table, by month."""

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from secrets import token_hex

from chalicelib.adapters import table_keys
from chalicelib.adapters.dynamodb import DynamoTable, Update, Value
from conducto_core.api.queries.usage_reports import month_of
from conducto_core.model.people import AuditEntry, AuditPage, AuditParams

#: Seconds for which an entry is kept: 400 days.
AUDIT_SECONDS = 400 * 86_400
#: Maximum number of entries that one request reads; a filter may select few of them.
MAX_SCAN = 5000


class TableAuditLog:
    """A `chalicelib.ports.people.AuditLog`."""

    def __init__(self, table: DynamoTable, clock: Callable[[], float]) -> None:
        self._table = table
        self._clock = clock

    def add(self, org: str, entry: AuditEntry) -> str:
        """Store an entry, and return its position."""
        position = f"{entry.time:020.6f}#{token_hex(4)}"
        self._put(org, position, entry)
        return position

    def end(self, org: str, position: str, status: int, subject: str | None) -> None:
        """Store the status of a response.

        Only these attributes are written: the user may have been renamed since.
        """
        month = month_of(float(position.partition("#")[0]))
        made = {} if subject is None else {"subject": subject}
        self._table.update(
            Update(
                table_keys.audit(org, month, position),
                set={"status": status, **made},
                where="attribute_exists(entry)",
            )
        )

    def _put(self, org: str, position: str, entry: AuditEntry) -> None:
        key = table_keys.audit(org, month_of(entry.time), position)
        expires = int(entry.time) + AUDIT_SECONDS
        self._table.put(key, {"entry": entry.model_dump_json(), "expires": expires})

    def page(self, org: str, params: AuditParams) -> AuditPage:
        """Return a page of entries, the newest first."""
        found: list[AuditEntry] = []
        last = None
        for number, (position, entry) in enumerate(self._entries(org, params.after)):
            if len(found) == params.limit or number == MAX_SCAN:
                return AuditPage(entries=tuple(found), next=last)
            last = position
            if params.user in (None, entry.user) and params.operation in (None, entry.operation):
                found.append(entry)
        return AuditPage(entries=tuple(found))

    def rename(
        self, org: str, user: str, replacement: str, check: Callable[[], None] = lambda: None
    ) -> int:
        """Replace a user's name in all entries; return their number."""
        count = 0
        for position, entry in self._entries(org, None):
            check()
            update = {
                name: replacement for name in ("user", "subject") if getattr(entry, name) == user
            }
            if update:
                self._put(org, position, entry.model_copy(update=update))
                count += 1
        return count

    def _entries(self, org: str, after: str | None) -> Iterator[tuple[str, AuditEntry]]:
        """Yield ``(position, entry)`` of the entries before a position, the newest first."""
        now = self._clock()
        newest = now if after is None else min(float(after.partition("#")[0]), now)
        for month in _months(newest, now - AUDIT_SECONDS):
            partition = table_keys.audit(org, month, "").partition
            high = table_keys.LAST if after is None else after
            for position, item in self._table.range(partition, "0", high, reverse=True):
                if position != after:
                    yield position, _entry(item)


def _entry(item: Mapping[str, Value]) -> AuditEntry:
    entry = AuditEntry.model_validate_json(str(item["entry"]))
    ended = {"status": int(item["status"])} if "status" in item else {}
    created = {"subject": str(item["subject"])} if "subject" in item else {}
    return entry.model_copy(update={**ended, **created})


def _months(newest: float, oldest: float) -> Iterator[str]:
    """Yield the months from ``newest`` back to ``oldest``, with one more for clocks that differ."""
    day = datetime.fromtimestamp(newest + 600, UTC)
    year, month = day.year, day.month
    last = month_of(oldest)
    while (name := f"{year:04}-{month:02}") >= last:
        yield name
        year, month = (year, month - 1) if month > 1 else (year - 1, 12)
