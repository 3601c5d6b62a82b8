"""A model of AWS's latencies for benchmarks, disabled by default. No I/O.

Each kind of call takes a time from a log-normal distribution with the median and the 99th
percentile from the table. AWS does not guarantee latencies: the numbers are estimates from AWS's
documentation and other reports, until they are measured in an account.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from conducto_emulator.limits import Dice

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
_ECS = "estimate; AWS publishes none"
_STATES = "estimate; AWS publishes none for Standard workflows"
_LAMBDA = "estimate; AWS: 100 ms to over 1 s (Lambda execution environment lifecycle)"
_OTHERS = "estimate for a call within a region"
_GATEWAY = "estimate of what API Gateway adds to its integration"
_FARGATE = "estimate from reports: 25 to 40 s until two containers run"

#: ``{(service, operation): delay}``; "" stands for all operations or all services.
CALLS: Mapping[tuple[str, str], Delay] = MappingProxyType(
    {
        ("dynamodb", ""): Delay(0.005, 0.020, _DYNAMODB),
        ("dynamodb", "Query"): Delay(0.006, 0.025, _DYNAMODB),
        ("dynamodb", "TransactWriteItems"): Delay(0.018, 0.060, _TRANSACTIONS),
        ("s3", ""): Delay(0.030, 0.150, _S3),
        ("ecs", ""): Delay(0.060, 0.250, _ECS),
        ("ecs", "RunTask"): Delay(0.300, 1.000, _ECS),
        ("ecs", "RegisterTaskDefinition"): Delay(0.150, 0.500, _ECS),
        ("states", ""): Delay(0.020, 0.100, _STATES),
        ("states", "CreateStateMachine"): Delay(0.150, 0.600, _STATES),
        ("states", "CreateActivity"): Delay(0.060, 0.250, _STATES),
        ("states", "StartExecution"): Delay(0.060, 0.250, _STATES),
        ("lambda", ""): Delay(0.015, 0.080, _OTHERS),
        ("", ""): Delay(0.030, 0.150, _OTHERS),
    }
)
TRANSITION = Delay(0.025, 0.120, _STATES)
COLD_START = Delay(0.900, 2.500, _LAMBDA)
REQUEST = Delay(0.012, 0.050, _GATEWAY)
TASK_START = Delay(30.0, 45.0, _FARGATE)


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
                return self._of("/".join(name), CALLS[name])
        raise LookupError(service)  # ("", "") is in the table

    def of_transition(self) -> float:
        """Return the seconds of a state transition of an execution."""
        return self._of("transition", TRANSITION)

    def of_cold_start(self) -> float:
        """Return the seconds until a new environment of a function accepts its first call."""
        return self._of("cold start", COLD_START)

    def of_request(self) -> float:
        """Return the seconds that API Gateway adds to a request."""
        return self._of("request", REQUEST)

    def of_task_start(self) -> float:
        """Return the seconds from RunTask until a task's containers run."""
        return self._task_scale * self._of("task", TASK_START)

    def _of(self, name: str, delay: Delay) -> float:
        return delay.at(self._dice.random(name).gauss(0.0, 1.0))
