"""AWS's published limits with their sources, and token buckets for rates. No I/O.

Rates and quotas are those of a new account in a large region such as us-east-1.
"""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from types import MappingProxyType

_KIB, _MIB = 1 << 10, 1 << 20

_WEBSOCKETS = "Quotas for configuring and running a WebSocket API in API Gateway"
_REST = "Quotas for configuring and running a REST API in API Gateway"
_LAMBDA = "Lambda quotas"
_INVOKE = "Lambda API reference: Invoke"
_RETRIES = "How Lambda handles errors and retries with asynchronous invocation"
_ECS = "Request throttling for the Amazon ECS API"
_FARGATE_RATES = "AWS Fargate throttling quotas"
_FARGATE = "Amazon ECS service quotas: AWS Fargate"
_STATES = "Step Functions service quotas"


@dataclass(frozen=True, slots=True)
class Limit:
    """A limit of AWS.

    Attributes:
        value: In ``unit``.
        unit: For example ``bytes``.
        source: Title of the page in AWS's documentation.
    """

    value: int
    unit: str
    source: str


@dataclass(frozen=True, slots=True)
class Rate:
    """Size and refill rate of a token bucket.

    Attributes:
        burst: Number of calls that a full bucket allows at once.
        per_second: Number of calls added per second.
        source: Title of the page in AWS's documentation.
    """

    burst: int
    per_second: float
    source: str


WEBSOCKET_FRAME = Limit(32 * _KIB, "bytes", _WEBSOCKETS)
WEBSOCKET_MESSAGE = Limit(128 * _KIB, "bytes", _WEBSOCKETS)
WEBSOCKET_IDLE = Limit(600, "seconds", _WEBSOCKETS)
WEBSOCKET_AGE = Limit(7200, "seconds", _WEBSOCKETS)
GATEWAY_WAIT = Limit(29, "seconds", _REST)
GATEWAY_PAYLOAD = Limit(10 * _MIB, "bytes", _REST)
LAMBDA_SYNC_PAYLOAD = Limit(6 * _MIB, "bytes", _LAMBDA)
LAMBDA_ASYNC_PAYLOAD = Limit(_MIB, "bytes", _INVOKE)
#: Retries of a failed asynchronous invocation, and the minutes before each.
LAMBDA_RETRIES = Limit(2, "retries", _RETRIES)
LAMBDA_RETRY_MINUTES = (1, 2)
#: A new account has fewer; the number is not documented. AWS raises the quota automatically.
LAMBDA_CONCURRENCY = Limit(1000, "invocations", _LAMBDA)
FARGATE_VCPUS = Limit(6, "vCPUs", _FARGATE)

#: ``{(service, operation): rate}``; every operation has its own bucket.
RATES: Mapping[tuple[str, str], Rate] = MappingProxyType(
    {
        ("ecs", "RunTask"): Rate(20, 20, _FARGATE_RATES),
        ("ecs", "StopTask"): Rate(100, 40, _ECS),
        ("ecs", "DescribeTasks"): Rate(100, 20, _ECS),
        ("ecs", "ListTasks"): Rate(100, 20, _ECS),
        ("ecs", "RegisterTaskDefinition"): Rate(20, 1, _ECS),
        ("ecs", "DeregisterTaskDefinition"): Rate(20, 1, _ECS),
        ("ecs", "DescribeTaskDefinition"): Rate(50, 20, _ECS),
        ("ecs", "ListTaskDefinitions"): Rate(50, 20, _ECS),
        ("ecs", "ListTaskDefinitionFamilies"): Rate(50, 20, _ECS),
        ("states", "CreateStateMachine"): Rate(100, 1, _STATES),
        ("states", "CreateActivity"): Rate(100, 1, _STATES),
        ("states", "DeleteStateMachine"): Rate(100, 1, _STATES),
        ("states", "DeleteActivity"): Rate(100, 1, _STATES),
        ("states", "StartExecution"): Rate(1300, 300, _STATES),
        ("states", "StopExecution"): Rate(1000, 200, _STATES),
        ("states", "DescribeExecution"): Rate(300, 15, _STATES),
        ("states", "GetExecutionHistory"): Rate(400, 20, _STATES),
        ("states", "ListExecutions"): Rate(200, 5, _STATES),
        ("states", "ListStateMachines"): Rate(100, 5, _STATES),
        ("states", "GetActivityTask"): Rate(3000, 500, _STATES),
        ("states", "SendTaskSuccess"): Rate(3000, 500, _STATES),
        ("states", "SendTaskFailure"): Rate(3000, 500, _STATES),
        ("states", "SendTaskHeartbeat"): Rate(3000, 500, _STATES),
    }
)


class TokenBucket:
    """Allows calls up to a rate."""

    def __init__(self, rate: Rate, now: float) -> None:
        self._rate = rate
        self._tokens = float(rate.burst)
        self._at = now

    def take(self, now: float) -> bool:
        """Return whether a call is allowed at ``now``, and count it if so."""
        refilled = self._tokens + max(0.0, now - self._at) * self._rate.per_second
        self._tokens = min(float(self._rate.burst), refilled)
        self._at = max(self._at, now)
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


class Buckets:
    """The token buckets of one account.

    Args:
        clock: Returns seconds.
        rates: Rates like `RATES`; other operations are not limited.
    """

    def __init__(
        self, clock: Callable[[], float], rates: Mapping[tuple[str, str], Rate] = RATES
    ) -> None:
        self._clock = clock
        self._rates = dict(rates)
        self._buckets: dict[tuple[str, str], TokenBucket] = {}
        self._lock = threading.Lock()

    def take(self, service: str, operation: str) -> bool:
        """Return whether a call is allowed now, and count it if so."""
        name = service, operation
        with self._lock:
            rate = self._rates.get(name)
            if rate is None:
                return True
            now = self._clock()
            return self._buckets.setdefault(name, TokenBucket(rate, now)).take(now)

    def configure(self, service: str, operation: str, rate: Rate | None) -> None:
        """Set the rate of an operation, with a full bucket, or remove its limit.

        Accounts with more usage have higher rates.
        """
        name = service, operation
        with self._lock:
            self._buckets.pop(name, None)
            if rate is None:
                self._rates.pop(name, None)
            else:
                self._rates[name] = rate

    def reset(self) -> None:
        """Reset to AWS's rates, with full buckets."""
        with self._lock:
            self._rates = dict(RATES)
            self._buckets.clear()


@dataclass(slots=True)
class Dice:
    """Random decisions that are reproducible with a seed.

    The n-th decision for a name is always the same, independent of other names.

    Attributes:
        seed: Any number.
    """

    seed: int
    _drawn: dict[str, int] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def happens(self, name: str, share: float) -> bool:
        """Return whether an event with a probability happens."""
        return self.draw(name) < share

    def draw(self, name: str) -> float:
        """Return the next number for a name, from 0 up to 1."""
        return self.random(name).random()

    def random(self, name: str) -> Random:
        """Return a source of random numbers for the next decision for a name."""
        with self._lock:
            number = self._drawn[name] = self._drawn.get(name, 0) + 1
        return Random(f"{self.seed} {name} {number}")  # noqa: S311  not for secrets
