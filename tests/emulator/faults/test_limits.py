"""Token buckets and chance, without waiting and without surprises."""

from __future__ import annotations

from pathlib import Path

from conducto_emulator.faults import latency as limits
from conducto_emulator.faults.latency import (
    CALLS,
    COLD_START,
    RATES,
    REQUEST,
    TASK_START,
    TRANSITION,
    Delay,
    Dice,
    Latency,
    Rate,
    TokenBucket,
    TokenBuckets,
)

ROOT = Path(__file__).parents[3]
RATE = Rate(3, 2.0, "a page")
#: The names in the documentation.
LIMITS = {
    "WebSocket frame, both ways": limits.WEBSOCKET_FRAME,
    "WebSocket message from a client": limits.WEBSOCKET_MESSAGE,
    "WebSocket without a message": limits.WEBSOCKET_IDLE,
    "WebSocket connection": limits.WEBSOCKET_AGE,
    "API Gateway's wait for a function": limits.GATEWAY_WAIT,
    "API Gateway's request": limits.GATEWAY_PAYLOAD,
    "Lambda's event and response, synchronous": limits.LAMBDA_SYNC_PAYLOAD,
    "Lambda's event, asynchronous": limits.LAMBDA_ASYNC_PAYLOAD,
    "Lambda's retries, asynchronous": limits.RateLimit(
        len(limits.LAMBDA_RETRY_MINUTES),
        "retries",
        "How Lambda handles errors and retries with asynchronous invocation",
    ),
    "Lambda's concurrency": limits.LAMBDA_CONCURRENCY,
    "Fargate On-Demand in a new account": limits.FARGATE_VCPUS,
}


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_bucket_allows_burst_then_its_refill() -> None:
    bucket = TokenBucket(RATE, 0.0)

    at_once = [bucket.allow(0.0) for _ in range(4)]
    after_a_second = [bucket.allow(1.0) for _ in range(3)]
    after_an_hour = [bucket.allow(3600.0) for _ in range(4)]

    assert at_once == [True, True, True, False]
    assert after_a_second == [True, True, False]
    assert after_an_hour == [True, True, True, False]  # never more than the burst


def test_bucket_ignores_clock_that_goes_back() -> None:
    bucket = TokenBucket(Rate(1, 1.0, "a page"), 10.0)
    assert bucket.allow(10.0)

    assert not bucket.allow(5.0)
    assert not bucket.allow(10.5)
    assert bucket.allow(11.0)


def test_operations_have_buckets_of_their_own_and_others_no_limit() -> None:
    clock = Clock()
    buckets = TokenBuckets(clock, {("ecs", "RunTask"): RATE, ("ecs", "StopTask"): RATE})

    for _ in range(3):
        assert buckets.allow("ecs", "RunTask")

    assert not buckets.allow("ecs", "RunTask")
    assert buckets.allow("ecs", "StopTask")
    assert all(buckets.allow("s3", "GET") for _ in range(1000))


def test_buckets_have_the_rates_of_aws_by_default() -> None:
    buckets = TokenBuckets(Clock())

    burst = [buckets.allow("ecs", "RunTask") for _ in range(21)]

    assert burst == [True] * 20 + [False]


def test_seed_repeats_decisions_whatever_happens_beside_them() -> None:
    first, second, other = Dice(7), Dice(7), Dice(8)

    alone = [first.draw("write") for _ in range(50)]
    mixed = []
    for _ in range(50):
        second.draw("event")
        mixed.append(second.draw("write"))

    assert alone == mixed
    assert alone != [other.draw("write") for _ in range(50)]
    assert 0.0 <= min(alone) <= max(alone) < 1.0


def test_share_of_decisions_is_about_as_asked() -> None:
    dice = Dice(1)

    happened = sum(dice.happens("x", 0.1) for _ in range(1000))

    assert 60 < happened < 140
    assert not any(Dice(1).happens("y", 0.0) for _ in range(100))


def test_every_number_has_a_source() -> None:
    for each in (*LIMITS.values(), *RATES.values(), *CALLS.values()):
        assert len(each.source) > 5


def test_latency_has_the_median_and_spread_of_its_table() -> None:
    latency = Latency(seed=3)
    table = CALLS["dynamodb", "Query"]

    drawn = sorted(latency.of_call("dynamodb", "Query") for _ in range(999))

    assert 0.85 * table.median < drawn[499] < 1.15 * table.median
    assert 0.6 * table.p99 < drawn[989] < 1.6 * table.p99
    assert drawn[0] > 0


def test_latency_of_a_call_without_a_row_is_its_services_or_that_of_all() -> None:
    latency = Latency(seed=3)

    s3 = sorted(latency.of_call("s3", "PUT") for _ in range(99))
    unknown = sorted(latency.of_call("sts", "POST") for _ in range(99))

    assert 0.02 < s3[49] < 0.04
    assert 0.02 < unknown[49] < 0.04
    assert Latency(seed=3, task_scale=0.0).of_task_start() == 0.0
    assert 20 < Latency(seed=3).of_task_start() < 60


def test_documentation_has_every_number_and_its_source() -> None:
    page = (ROOT / "docs" / "cloud-emulator.md").read_text("utf-8")
    rows = [
        *(
            f"| {name} | {each.value:,} {each.unit} | {each.source} |"
            for name, each in LIMITS.items()
        ),
        *(
            f"| `{service}:{operation}` | {rate.burst:,} | {rate.per_second:g} | {rate.source} |"
            for (service, operation), rate in RATES.items()
        ),
        *(f"| {name} | {text(each)} | {each.source} |" for name, each in delays()),
    ]

    assert [row for row in rows if row not in page] == []


def delays() -> list[tuple[str, Delay]]:
    calls = [(f"`{s or 'other services'}{':' + o if o else ''}`", d) for (s, o), d in CALLS.items()]
    return [
        *calls,
        ("a transition of a state machine", TRANSITION),
        ("cold start of a function", COLD_START),
        ("API Gateway, for each request", REQUEST),
        ("start of a task", TASK_START),
    ]


def text(delay: Delay) -> str:
    return f"{1000 * delay.median:,.0f} ms | {1000 * delay.p99:,.0f} ms"
