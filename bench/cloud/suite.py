"""The cloud benchmarks with the budgets of the architecture."""

from tests.support.cloud.bill import SERVICES

from bench.cloud import (
    backstop,
    compiling,
    contention,
    deciding,
    emulated,
    emulating,
    fair,
    handoff,
    launching,
    native,
    output,
    relaying,
    soaking,
)
from bench.cloud.lab import CloudLab, open_cloud_lab
from bench.cloud.latent_aws import OTHER_REGION
from bench.registry import Measurement, Metric, Ratio, Suite

#: Budget of compiling in seconds of one core, by the number of Execs, like in the conformance
#: suite: it is single-threaded, and on a busy machine its wall time is meaningless.
_COMPILE_SECONDS = {1000: None, 10_000: None, 100_000: 10.0}

_CALL = Metric("call_ms", "ms")
_CALL_CPU = Metric("cpu_ms_per_call", "ms")
_SHELL = "cloud.floor.shell_50.call_ms"
_ISOLATED_CPU = "cloud.native_isolated_50.cpu_ms_per_call"
_ALONE = "cloud.fair.alone_seconds"
_HEAVY = "cloud.native_heavy_isolated_50.call_ms"
_HEAVY_CPU = "cloud.native_heavy_isolated_50.cpu_ms_per_call"

_NATIVE = (
    Measurement(
        "cloud.floor.shell_50",
        "baseline: 50 times `true` through the FIFOs of a worker's container",
        native.shell_50,
        (_CALL, _CALL_CPU),
        group="native",
    ),
    Measurement(
        "cloud.native_isolated_50",
        "50 Python functions in a worker's container, each in a new interpreter",
        native.native_isolated_50,
        (_CALL, _CALL_CPU),
        ratios=(Ratio("ratio_to_shell", "call_ms", _SHELL),),
        group="native",
    ),
    Measurement(
        "cloud.native_50",
        "the same in forks of one interpreter",
        native.native_50,
        (Metric("call_ms", "ms", 4, 2), _CALL_CPU),
        ratios=(
            Ratio("ratio_to_shell", "call_ms", _SHELL),
            Ratio("cpu_ratio_to_isolated", "cpu_ms_per_call", _ISOLATED_CPU),
        ),
        group="native",
    ),
    Measurement(
        "cloud.native_heavy_isolated_50",
        "50 functions of a module with many imports, each in a new interpreter",
        native.native_heavy_isolated_50,
        (_CALL, _CALL_CPU),
        group="native",
    ),
    Measurement(
        "cloud.native_heavy_200",
        "200 of them in forks of one interpreter",
        native.native_heavy_200,
        (_CALL, _CALL_CPU),
        ratios=(
            Ratio("ratio_to_isolated", "call_ms", _HEAVY, 0.05),
            Ratio("cpu_ratio_to_isolated", "cpu_ms_per_call", _HEAVY_CPU, 0.05),
        ),
        group="native",
    ),
)

_READ = (Metric("whole_s", "s", 2), Metric("last_page_s", "s", 0.3))
_JOINED = (Metric("joining_s", "s"), *_READ)

_OUTPUT = (
    Measurement(
        "cloud.output_hour",
        "log read times, as slow as AWS: an hour of one line a second, sent every 10 s",
        output.hour(10, joined=False),
        _READ,
    ),
    Measurement(
        "cloud.output_hour_joined",
        "the same, joined when the command ended",
        output.hour(10, joined=True),
        _JOINED,
    ),
    Measurement(
        "cloud.output_hour_followed",
        "the same, sent every second to a client that follows",
        output.hour(1, joined=False),
        _READ,
        repeats=1,
    ),
    Measurement(
        "cloud.output_hour_followed_joined",
        "the same, joined when the command ended",
        output.hour(1, joined=True),
        _JOINED,
        repeats=1,
    ),
    Measurement(
        "cloud.output_100_mb",
        "log read times, as slow as AWS: 100 MB in chunks of 4 MB",
        output.large,
        (Metric("whole_s", "s"), Metric("last_page_s", "s", 0.3)),
        repeats=1,
    ),
)

#: The floor of the cost of 100,000 Execs of 1 s: a transition and a second of a worker each.
_FLOOR = 4.1


def _crowded(
    name: str,
    load: contention.Load,
    *,
    between: float | None = None,
    waiting: float | None = None,
    dollars: float | None = None,
    stretch: float | None = None,
    hottest: float = 1000,
    units: float = 10,
) -> Measurement[CloudLab]:
    """Return the measurement of a load, with its budgets."""
    of = f"{load.pipelines} pipelines with " if load.pipelines > 1 else ""
    return Measurement(
        f"cloud.{name}",
        f"{of}{load.workers} workers with Execs of {load.seconds:g} s, with the latencies of AWS, "
        f"in virtual time, and {load.quota} calls a second; dollars are for 100,000 Execs",
        contention.contention(load),
        (
            Metric("ms_between_execs", "ms", between),
            Metric("execs_per_second", ""),
            Metric("busy_percent", "%"),
            Metric("waiting_percent", "%", waiting),
            Metric("writes_per_entry", "", 1.5),
            Metric("entries_per_second", ""),
            Metric("claim_mean_ms", "ms"),
            Metric("claim_p50_ms", "ms", 150),
            Metric("claim_p99_ms", "ms"),
            Metric("requests_per_exec", ""),
            Metric("calls_per_exec", ""),
            Metric("write_units_per_exec", "", units),
            Metric("read_units_per_exec", ""),
            # Of the hottest partition; DynamoDB serves 1,000 from one.
            Metric("partition_writes_per_second", "", hottest),
            Metric("partition_throttles", "", 0),
            Metric("quota_throttles", ""),
            Metric("quota_losses", ""),
            *(Metric(f"dollars_{service}", "$") for service in SERVICES),
            Metric("dollars_per_100000", "$", dollars, stretch),
            Metric("cpu_ms_per_exec", "ms"),
            Metric("errors", "", 0),
            Metric("transaction_conflicts", ""),
            Metric("processes", ""),
        ),
        repeats=1,
        full=True,
    )


_CONTENTION = (
    _crowded(
        "workers_200",
        contention.Load(200, 1.0, measured=4.0),
        between=1e3 / 175,
        dollars=5.65,
        stretch=1.2 * _FLOOR,
        hottest=600,
        units=5.5,
    ),
    _crowded("workers_200_10s", contention.Load(200, 10.0, measured=20.0)),
    _crowded("workers_20", contention.Load(20, 1.0, measured=6.0)),
    _crowded("workers_20_10s", contention.Load(20, 10.0, measured=40.0)),
    _crowded(
        "pipelines_20",
        contention.Load(20, 5.0, measured=15.0, pipelines=20),
        waiting=10.0,
    ),
    _crowded("pipelines_40", contention.Load(20, 5.0, measured=15.0, pipelines=40), hottest=500),
    # 380 Execs/s, and 285 with the quotas of other regions.
    _crowded(
        "pipelines_100",
        contention.Load(20, 5.0, measured=15.0, pipelines=100),
        between=1e3 / 380,
    ),
    _crowded(
        "pipelines_100_other_region",
        contention.Load(20, 5.0, measured=15.0, pipelines=100, quota=OTHER_REGION),
        between=1e3 / 285,
    ),
    # 190 Execs/s.
    _crowded(
        "workers_2000",
        contention.Load(100, 10.0, measured=20.0, pipelines=20),
        between=1e3 / 190,
    ),
)

CLOUD = Suite(
    "cloud",
    (
        *(
            Measurement(
                f"cloud.compile_{size}",
                f"state machines of a Parallel of {size:,} Execs",
                compiling.compile_cost(size),
                (
                    Metric("seconds", "s"),
                    Metric("cpu_seconds", "s", budget),
                    Metric("us_per_exec", "µs"),
                    Metric("machines", ""),
                    Metric("bytes_per_exec", "B", 520),
                ),
                group="compile",
            )
            for size, budget in _COMPILE_SECONDS.items()
        ),
        *(
            Measurement(
                f"cloud.launch_{size}",
                f"a launch of {size:,} commands in the latency model: the response, the first "
                "request for a worker, the start of the execution",
                launching.launch(size),
                (
                    Metric("response_seconds", "s", 3),
                    Metric("first_worker_seconds", "s", requested),
                    Metric("run_started_seconds", "s"),
                ),
                group="launch",
                repeats=1,
            )
            for size, requested in ((1000, 0.7), (100_000, 2.8))
        ),
        Measurement(
            "cloud.ensure_workers_1000",
            "which workers to start for 1,000 queued Execs in eight pools, without AWS",
            deciding.ensure_workers,
            (Metric("per_second", ""), Metric("ms", "ms")),
        ),
        Measurement(
            "cloud.claim_and_report_300",
            "the functions' cost of one Exec out of 300, without AWS",
            deciding.claim_and_report,
            (Metric("ms_per_exec", "ms"), Metric("commits_per_second", "")),
        ),
        Measurement(
            "cloud.cached_1000",
            "a launch of 1,000 unchanged commands: from the cache, without a worker; without AWS",
            deciding.cached_1000,
            (Metric("cpu_seconds", "s", 3),),
            repeats=1,
        ),
        Measurement(
            "cloud.continue_100000",
            "--into for 100,000 Execs; reading their attempts takes 4 s more, and API Gateway "
            "allows 29 s",
            deciding.continue_large,
            (
                Metric("preview_cpu_seconds", "s", 20),
                Metric("replace_cpu_seconds", "s", 25),
            ),
            repeats=1,
        ),
        *_OUTPUT,
        *_CONTENTION,
        Measurement(
            "cloud.backstop_1000",
            "the minute's checks of 1,000 open pipelines, of which ten have 100,000 nodes, in a "
            "model of AWS's latencies: the longest gap between two checks of one pipeline",
            backstop.backstop(backstop.PIPELINES, backstop.LARGE, backstop.NODES),
            (
                Metric("longest_gap_s", "s", 90, 60),
                Metric("last_check_s", "s"),
                Metric("invocations_per_minute", ""),
                Metric("longest_invocation_s", "s", 840),
                Metric("memory_growth_mb", "MB", 1500),
                Metric("writes", ""),
            ),
            repeats=1,
            full=True,
        ),
        Measurement(
            "cloud.free_plan_gap",
            "two workers: the time from the last command of a pool to the launch of another pool's "
            "workers, and how long the first pool's workers are paid afterwards",
            handoff.free_plan_gap,
            (
                Metric("gap_s", "s", 3, 1),
                Metric("pipeline_gap_s", "s"),
                Metric("other_pipeline_gap_s", "s"),
                Metric("idle_s", "s", 5, 2),
                Metric("lent_idle_s", "s"),
            ),
            repeats=1,
        ),
        Measurement(
            "cloud.soak",
            "half an hour of pipelines while invocations, workers and responses are lost; it fails "
            "unless every Exec ends once and two readers of each journal agree",
            soaking.soak,
            (
                Metric("execs", ""),
                Metric("faults", ""),
                Metric("killed_invocations", ""),
                Metric("killed_workers", ""),
                Metric("logged_errors", ""),
                Metric("memory_mb", "MB"),
                # The processes' caches are more or less full; a leak in each pipeline adds up.
                Metric("memory_growth_mb", "MB", 0.5),
            ),
            repeats=1,
            full=True,
        ),
        Measurement(
            "cloud.remote_action",
            "an action from the app to a linked machine and back, in a model of AWS's latencies",
            relaying.action,
            (Metric("median_ms", "ms", 400), Metric("longest_ms", "ms")),
            repeats=1,
        ),
        Measurement(
            "cloud.followed_agents",
            "100 agents with 10 followed pipelines each, of which each changes every two seconds",
            relaying.followed,
            (
                Metric("delay_ms", "ms"),
                Metric("requests_per_batch", ""),
                Metric("functions_at_once", ""),
                Metric("dollars_per_hour", "$"),
            ),
            repeats=1,
        ),
        *_NATIVE,
        Measurement(
            "cloud.emulated",
            "the emulator with four workers and the latencies of AWS: number of events, "
            "times of commands",
            emulated.run,
            (
                Metric("events_per_exec", "", 5),
                Metric("transitions_per_exec", "", 1),
                Metric("execs_per_second", ""),
                Metric("next_claim_ms", "ms"),
            ),
            repeats=1,
        ),
        Measurement(
            "cloud.emulating",
            "what the emulator costs: 320 Execs of `true` on four workers, without latencies; CPU "
            "time of its process, which includes functions and moto, and of its workers",
            emulating.run,
            (
                Metric("cpu_ms_per_exec", "ms", 90, 50),
                Metric("process_ms_per_exec", "ms"),
                Metric("execs_per_second", ""),
            ),
            repeats=1,
        ),
        Measurement(
            "cloud.fair",
            "time to the first command of a pipeline that arrives while another one has both "
            "workers of the plan with Execs of 1 s, and of a third one after the end of the second",
            fair.arrive,
            (
                Metric("alone_seconds", "s"),
                Metric("second_seconds", "s"),
                Metric("after_second_seconds", "s"),
            ),
            # Containers start more slowly on a busy machine.
            ratios=(
                Ratio("second_to_alone", "second_seconds", _ALONE, 1.5),
                Ratio("after_second_to_alone", "after_second_seconds", _ALONE, 1.5),
            ),
            repeats=1,
        ),
    ),
    open_cloud_lab,
)
