"""A model of AWS's latencies for benchmarks, disabled by default. No I/O.

Each kind of call takes a time from a log-normal distribution with the median and the 99th
percentile from the table. AWS does not guarantee latencies: the numbers are estimates from AWS's
documentation and other reports, until they are measured in an account.
"""

import math
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from types import MappingProxyType
from typing import Any, NamedTuple

# ----------------------------------------------------------------------------------------
# The service and operation of a request to AWS.


#: Services by the prefix of ``X-Amz-Target``.
_SERVICES = {
    "AmazonEC2ContainerServiceV20141113": "ecs",
    "AWSStepFunctions": "states",
    "DynamoDB_20120810": "dynamodb",
    "CodeBuild_20161006": "codebuild",
    "AmazonEC2ContainerRegistry_V20150921": "ecr",
    "secretsmanager": "secretsmanager",
    "Logs_20140328": "logs",
}


class AwsCall(NamedTuple):
    """A service and an operation.

    Attributes:
        service: Name as in signatures, such as ``states``; empty if unknown.
        operation: AWS's name of the operation, or the HTTP method if the request does not name it.
    """

    service: str
    operation: str


def call_of(environ: Mapping[str, Any]) -> AwsCall:
    """Return the call of a WSGI request."""
    target = str(environ.get("HTTP_X_AMZ_TARGET", ""))
    prefix, _, operation = target.partition(".")
    if operation:
        return AwsCall(_SERVICES.get(prefix, prefix), operation)
    return AwsCall(_signed_service(environ), str(environ["REQUEST_METHOD"]))


def _signed_service(environ: Mapping[str, Any]) -> str:
    """Return the service in a signature's scope, such as ``AWS4… Credential=K/D/R/s3/…``."""
    signature = str(environ.get("HTTP_AUTHORIZATION", ""))
    _, _, scope = signature.partition("Credential=")
    if not scope:
        query = str(environ.get("QUERY_STRING", ""))
        _, _, scope = query.replace("%2F", "/").partition("X-Amz-Credential=")
    parts = scope.split("/", 4)
    return parts[3] if len(parts) > 4 else ""  # noqa: PLR2004  (key, date, region, service, rest)


# ----------------------------------------------------------------------------------------
# AWS's published limits with their sources, and token buckets for rates. No I/O.
#
# Rates and quotas are those of a new account in a large region such as us-east-1.


_KIB, _MIB = 1 << 10, 1 << 20

_WEBSOCKETS = "Quotas for configuring and running a WebSocket API in API Gateway"
_REST = "Quotas for configuring and running a REST API in API Gateway"
_LAMBDA = "Lambda quotas"
_INVOKE = "Lambda API reference: Invoke"
_ECS = "Request throttling for the Amazon ECS API"
_FARGATE_RATES = "AWS Fargate throttling quotas"
_FARGATE = "Amazon ECS service quotas: AWS Fargate"
_STATES = "Step Functions service quotas"


@dataclass(frozen=True, slots=True)
class RateLimit:
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


WEBSOCKET_FRAME = RateLimit(32 * _KIB, "bytes", _WEBSOCKETS)
WEBSOCKET_MESSAGE = RateLimit(128 * _KIB, "bytes", _WEBSOCKETS)
WEBSOCKET_IDLE = RateLimit(600, "seconds", _WEBSOCKETS)
WEBSOCKET_AGE = RateLimit(7200, "seconds", _WEBSOCKETS)
GATEWAY_WAIT = RateLimit(29, "seconds", _REST)
GATEWAY_PAYLOAD = RateLimit(10 * _MIB, "bytes", _REST)
LAMBDA_SYNC_PAYLOAD = RateLimit(6 * _MIB, "bytes", _LAMBDA)
LAMBDA_ASYNC_PAYLOAD = RateLimit(_MIB, "bytes", _INVOKE)
#: Minutes before each retry of a failed asynchronous invocation.
LAMBDA_RETRY_MINUTES = (1, 2)
#: A new account has fewer; the number is not documented. AWS raises the quota automatically.
LAMBDA_CONCURRENCY = RateLimit(1000, "invocations", _LAMBDA)
FARGATE_VCPUS = RateLimit(6, "vCPUs", _FARGATE)

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

    def allow(self, now: float) -> bool:
        """Return whether a call is allowed at ``now``, and count it if so."""
        refilled = self._tokens + max(0.0, now - self._at) * self._rate.per_second
        self._tokens = min(float(self._rate.burst), refilled)
        self._at = max(self._at, now)
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


class TokenBuckets:
    """The token buckets of one account.

    Args:
        clock: Returns seconds.
        rates: Rates like `RATES`; other operations are not limited.
    """

    def __init__(
        self, clock: Callable[[], float], rates: Mapping[tuple[str, str], Rate] = RATES
    ) -> None:
        self._clock = clock
        self._rates = rates
        self._buckets: dict[tuple[str, str], TokenBucket] = {}
        self._lock = threading.Lock()

    def allow(self, service: str, operation: str) -> bool:
        """Return whether a call is allowed now, and count it if so."""
        name = service, operation
        with self._lock:
            rate = self._rates.get(name)
            if rate is None:
                return True
            now = self._clock()
            return self._buckets.setdefault(name, TokenBucket(rate, now)).allow(now)


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
        return self.draw(name) < share

    def draw(self, name: str) -> float:
        """Return the next number for a name, from 0 up to 1."""
        return self.random(name).random()

    def random(self, name: str) -> Random:
        """Return a source of random numbers for the next decision for a name."""
        with self._lock:
            number = self._drawn[name] = self._drawn.get(name, 0) + 1
        return Random(f"{self.seed} {name} {number}")  # noqa: S311  not for secrets


#: The 99th percentile of the standard normal distribution.
_P99 = 2.3263


@dataclass(frozen=True, slots=True)
class Delay:
    """The distribution of a latency.

    Attributes:
        median: Seconds.
        p99: Seconds.
        source: Origin of the numbers.
    """

    median: float
    p99: float
    source: str

    def at(self, normal: float) -> float:
        """Return the seconds for a number from a standard normal distribution."""
        return self.median * math.exp(normal / _P99 * math.log(self.p99 / self.median))


_DYNAMODB = "estimate; AWS: single-digit milliseconds (What is Amazon DynamoDB?)"
_TRANSACTIONS = "estimate: a transaction prepares and commits (Amazon DynamoDB Transactions)"
_S3 = "estimate; AWS: 100 to 200 ms at most for small objects (Performance design patterns for S3)"
_ECS_LATENCY = "estimate; AWS publishes none"
_STATES_LATENCY = "estimate; AWS publishes none for Standard workflows"
_LAMBDA_LATENCY = "estimate; AWS: 100 ms to over 1 s (Lambda execution environment lifecycle)"
_OTHERS = "estimate for a call within a region"
_GATEWAY = "estimate of what API Gateway adds to its integration"
_FARGATE_LATENCY = "estimate from reports: 25 to 40 s until two containers run"

#: ``{(service, operation): delay}``; "" stands for all operations or all services.
CALLS: Mapping[tuple[str, str], Delay] = MappingProxyType(
    {
        ("dynamodb", ""): Delay(0.005, 0.020, _DYNAMODB),
        ("dynamodb", "Query"): Delay(0.006, 0.025, _DYNAMODB),
        ("dynamodb", "TransactWriteItems"): Delay(0.018, 0.060, _TRANSACTIONS),
        ("s3", ""): Delay(0.030, 0.150, _S3),
        ("ecs", ""): Delay(0.060, 0.250, _ECS_LATENCY),
        ("ecs", "RunTask"): Delay(0.300, 1.000, _ECS_LATENCY),
        ("ecs", "RegisterTaskDefinition"): Delay(0.150, 0.500, _ECS_LATENCY),
        ("states", ""): Delay(0.020, 0.100, _STATES_LATENCY),
        ("states", "CreateStateMachine"): Delay(0.150, 0.600, _STATES_LATENCY),
        ("states", "CreateActivity"): Delay(0.060, 0.250, _STATES_LATENCY),
        ("states", "StartExecution"): Delay(0.060, 0.250, _STATES_LATENCY),
        ("lambda", ""): Delay(0.015, 0.080, _OTHERS),
        ("", ""): Delay(0.030, 0.150, _OTHERS),
    }
)
TRANSITION = Delay(0.025, 0.120, _STATES_LATENCY)
COLD_START = Delay(0.900, 2.500, _LAMBDA_LATENCY)
REQUEST = Delay(0.012, 0.050, _GATEWAY)
TASK_START = Delay(30.0, 45.0, _FARGATE_LATENCY)


class Latency:
    """Draws latencies from the model.

    Args:
        seed: Makes them reproducible.
        task_scale: Factor of the start time of tasks, which is too long for benchmarks of a minute;
            0 starts tasks as fast as the machine can.
    """

    def __init__(self, seed: int, task_scale: float = 1.0) -> None:
        self._dice = Dice(seed)
        self._task_scale = task_scale

    def of_call(self, service: str, operation: str) -> float:
        """Return the seconds of a call, from request to response."""
        for name in ((service, operation), (service, ""), ("", "")):
            if name in CALLS:
                return self._seconds("/".join(name), CALLS[name])
        raise LookupError(service)  # ("", "") is in the table

    def of_transition(self) -> float:
        """Return the seconds of a state transition of an execution."""
        return self._seconds("transition", TRANSITION)

    def of_cold_start(self) -> float:
        """Return the seconds until a new environment of a function accepts its first call."""
        return self._seconds("cold start", COLD_START)

    def of_request(self) -> float:
        """Return the seconds that API Gateway adds to a request."""
        return self._seconds("request", REQUEST)

    def of_task_start(self) -> float:
        """Return the seconds from RunTask until a task's containers run."""
        return self._task_scale * self._seconds("task", TASK_START)

    def _seconds(self, name: str, delay: Delay) -> float:
        return delay.at(self._dice.random(name).gauss(0.0, 1.0))
