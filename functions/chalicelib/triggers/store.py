"""The webhooks that triggers received, in the table."""

from collections.abc import Callable, Sequence

from chalicelib.aws import table_keys
from chalicelib.aws.dynamodb import DynamoTable, Update, Value
from conducto_core.installation.names import OPEN
from conducto_core.triggers.model import OPEN_RESULTS, Delivery

#: Seconds for which deliveries are kept: a provider does not repeat older ones.
REMEMBERED_SECONDS = 40 * 86_400
_OPEN = "deliveries"
_APPS = "github-apps"
_MINUTE = 60


class TableDeliveries:
    """The webhooks that triggers received in the last weeks."""

    def __init__(self, table: DynamoTable, clock: Callable[[], float]) -> None:
        self._table = table
        self._clock = clock

    def add(self, org: str, trigger: str, delivery: Delivery, identity: str) -> bool:
        """Store a delivery; return False if one of the same provider's id is known.

        Raises:
            ThrottledError: Nothing was stored; retry later.
        """
        mark = table_keys.delivery_mark(org, trigger, identity)
        key = table_keys.delivery(org, trigger, delivery.id)
        return not self._table.try_transact(
            [
                self._table.put_operation(mark, {"expires": self._expires()}, new=True),
                self._table.put_operation(key, self._item(org, trigger, delivery)),
            ]
        )

    def count(self, org: str, hook: str) -> int:
        """Count a webhook, and return the number of those in this minute."""
        minute = int(self._clock() // _MINUTE)
        key = table_keys.delivery_count(org, hook, minute)
        expires = {"expires": (minute + 2) * _MINUTE}
        return self._table.count(Update(key, set=expires, add={"webhooks": 1}), "webhooks")

    def watch(self, org: str, *, on: bool) -> None:
        """Set whether an organisation has a GitHub App, whose missed webhooks are requested."""
        key = table_keys.watched_app(org)
        if on:
            self._table.put(key, {OPEN.partition_key: _APPS, OPEN.sort_key: org})
        else:
            self._table.delete(key)

    def watched(self) -> Sequence[str]:
        """Return the organisations that have a GitHub App."""
        return sorted(str(item[OPEN.sort_key]) for _, item in self._table.index(OPEN, _APPS))

    def get(self, org: str, trigger: str, delivery: str) -> Delivery | None:
        item = self._table.get(table_keys.delivery(org, trigger, delivery))
        return None if item is None else Delivery.model_validate_json(str(item["record"]))

    def put(self, org: str, trigger: str, delivery: Delivery) -> None:
        """Replace a delivery; it is open while its result is one of `OPEN_RESULTS`."""
        key = table_keys.delivery(org, trigger, delivery.id)
        self._table.put(key, self._item(org, trigger, delivery))

    def latest(self, org: str, trigger: str, limit: int) -> Sequence[Delivery]:
        """Return the last deliveries, the newest first."""
        first = table_keys.delivery(org, trigger, "")
        end = first.sort + table_keys.LAST
        found = self._table.range(first.partition, first.sort, end, reverse=True, limit=limit)
        return [Delivery.model_validate_json(str(item["record"])) for _, item in found]

    def open(self) -> Sequence[tuple[str, str, str]]:
        """Return ``(org, trigger, delivery)`` of all open deliveries, the oldest first."""
        places = [str(item[OPEN.sort_key]) for _, item in self._table.index(OPEN, _OPEN)]
        found = []
        for place in sorted(places, key=lambda place: place.rpartition("#")[2]):
            org, trigger, delivery = place.split("#")
            found.append((org, trigger, delivery))
        return found

    def _item(self, org: str, trigger: str, delivery: Delivery) -> dict[str, Value]:
        item: dict[str, Value] = {"record": delivery.model_dump_json(), "expires": self._expires()}
        if delivery.result in OPEN_RESULTS:
            place = f"{org}#{trigger}#{delivery.id}"
            item |= {OPEN.partition_key: _OPEN, OPEN.sort_key: place}
        return item

    def _expires(self) -> int:
        return int(self._clock()) + REMEMBERED_SECONDS
