"""What AWS charges, counted from requests, units and seconds by AWS's rules.

The prices are those of AWS's pages for us-east-1, deliberately not those of the product's estimate
(`conducto_core.billing.rules`).
"""

from __future__ import annotations

from collections import Counter
from math import ceil
from threading import Lock, local
from typing import TYPE_CHECKING, Any

from conducto_emulator.faults.partitions import CapacityUnits

if TYPE_CHECKING:
    from chalicelib.aws.clients import Clients

_WRITE, _READ, _SECRET = 0.625 / 1e6, 0.125 / 1e6, 0.05 / 10_000
_PUT, _GET = 0.005 / 1e3, 0.0004 / 1e3
_CALL, _INVOCATION, _MEMORY = 3.5 / 1e6, 0.2 / 1e6, 0.0000166667
_TRANSITION, _LOG_BYTE = 0.025 / 1e3, 0.5 / 2**30
#: A worker of 1 vCPU and 3 GB with a public address, per second.
_TASK = (0.04048 + 3 * 0.004445 + 0.005) / 3600
#: GB of the function that serves requests.
_MEMORY_GB = 1.769
#: Bytes that Lambda itself logs for an invocation: START, END and REPORT.
_INVOCATION_LOG = 310
#: The services of a bill, in the order of a table.
SERVICES = (
    "lambda",
    "api_gateway",
    "dynamodb",
    "step_functions",
    "s3",
    "fargate",
    "secrets_manager",
    "logs",
)


class Bill:
    """Counts what AWS charges for the calls of boto3's clients. It is thread-safe.

    Attributes:
        counts: Calls by operation, and ``writes`` and ``reads``: units of the table.
        partitions: Write units by partition of the table and its indexes.
        read_partitions: The same of read units.
    """

    def __init__(self, clients: Clients) -> None:
        self.counts: Counter[str] = Counter()
        self.partitions: Counter[str] = Counter()
        self.read_partitions: Counter[str] = Counter()
        self._dollars = dict.fromkeys(SERVICES, 0.0)
        self._units = CapacityUnits()
        self._asked = local()
        self._lock = Lock()
        events = clients.get("dynamodb").meta.events
        events.register("provide-client-params.dynamodb", self._write)
        events.register("after-call.dynamodb", self._read)
        for service in ("secretsmanager", "s3"):
            clients.get(service).meta.events.register("before-call", self._call)

    @property
    def dollars(self) -> float:
        """All that was charged."""
        return sum(self._dollars.values())

    def lines(self) -> dict[str, float]:
        """Return ``{service: dollars}``."""
        with self._lock:
            return dict(self._dollars)

    def request(self, seconds: float = 0.06) -> None:
        """Count a request to the API and its invocation."""
        self._charge("api_gateway", _CALL, requests=1)
        self.invocation(seconds)

    def invocation(self, seconds: float) -> None:
        """Count an invocation of a function; Lambda charges whole milliseconds."""
        memory = _MEMORY_GB * ceil(seconds * 1e3) / 1e3 * _MEMORY
        self._charge("lambda", _INVOCATION + memory, invocations=1)
        self.logged(_INVOCATION_LOG)

    def logged(self, size: int) -> None:
        """Count bytes of logs."""
        self._charge("logs", size * _LOG_BYTE)

    def task(self, seconds: float) -> None:
        """Count seconds of a worker."""
        self._charge("fargate", seconds * _TASK)

    def transitions(self, number: int) -> None:
        """Count state transitions."""
        self._charge("step_functions", number * _TRANSITION, transitions=number)

    def _charge(self, service: str, dollars: float, **counts: float) -> None:
        with self._lock:
            self._dollars[service] += dollars
            self.counts.update(counts)

    def _write(self, params: dict[str, Any], model: Any, **_: Any) -> None:
        self._asked.params = params  # of the response to this thread
        self._charge("dynamodb", 0.0, **{model.name: 1})
        for partition, units in self._units.written(model.name, params):
            self._charge("dynamodb", _WRITE * units, writes=int(units))
            with self._lock:
                self.partitions[partition] += int(units)

    def _read(self, parsed: dict[str, Any], model: Any, **_: Any) -> None:
        for partition, units in self._units.read(model.name, self._asked.params, parsed):
            self._charge("dynamodb", _READ * units, reads=units)
            with self._lock:
                self.read_partitions[partition] += units  # type: ignore[assignment]

    def _call(self, model: Any, **_: Any) -> None:
        prices = {
            "GetSecretValue": ("secrets_manager", _SECRET),
            "PutObject": ("s3", _PUT),
            "ListObjectsV2": ("s3", _PUT),
            "GetObject": ("s3", _GET),
        }
        service, price = prices.get(model.name, ("s3", 0.0))
        self._charge(service, price, **{model.name: 1})
