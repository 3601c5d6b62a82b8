"""The local benchmarks with their baselines and budgets.

Budgets are those of the architecture. The baseline of a ratio is measured in the same run, and
alternately with its counterpart where that matters. To add a measurement, write a function that
does it once and add an entry here; add a budget only if there is an agreed one.
"""

from bench.local import (
    caching,
    commands,
    definition,
    floors,
    install,
    latency,
    memory,
    parts,
    whole,
)
from bench.local.diagnosis import explain_100000
from bench.local.lab import open_local_lab
from bench.local.machine_events import event_cost
from bench.registry import Measurement, Metric, Ratio, Suite

_PER_EXEC = Metric("ms_per_exec", "ms")
_WARM = Metric("warm_ms_per_exec", "ms")
_CPU = Metric("agent_cpu_ms_per_exec", "ms")
#: CPU time with the commands included.
_ALL_CPU = Metric("cpu_ms_per_exec", "ms")
_COMMANDS = (_PER_EXEC, _WARM, _CPU)
#: From the start of a warm call to that of the next, in a chain; imports are in the CPU time only.
_CALL = Metric("call_ms", "ms")

#: Those of a whole command; the CPU time is that of the process and its children, not the agent's.
_WHOLE_METRICS = (Metric("seconds", "s"), Metric("cpu_seconds", "s"))

_MAKE = "local.floor.make_1000.ms_per_exec"
_MAKE_CPU = "local.floor.make_1000.cpu_ms_per_exec"
_MAKE_CHAIN = "local.floor.make_chain_100.ms_per_exec"
_DOCKER_EXEC = "local.floor.docker_exec.ms_per_exec"
_SHELL = "local.floor.resident_shell_1000.ms_per_exec"
_SHELL_CHAIN = "local.floor.resident_shell_100.ms_per_exec"
_FRESH = "local.floor.fresh_container.ms_per_exec"
_FRESH_LIKE_OURS = "local.floor.fresh_like_ours.ms_per_exec"
_PYTHON = "local.floor.python_50.ms_per_exec"
_ISOLATED = "local.native_isolated_50.call_ms"
_ISOLATED_CPU = "local.native_isolated_50.cpu_ms_per_exec"
_HEAVY = "local.native_heavy_isolated_50.call_ms"
_HEAVY_CPU = "local.native_heavy_isolated_50.cpu_ms_per_exec"
_FLAT = "local.parallel_1000.ms_per_exec"
_FLAT_WARM = "local.parallel_1000.warm_ms_per_exec"
_FLAT_CPU = "local.parallel_1000.agent_cpu_ms_per_exec"
_SMALL_EVENT = "local.machine_event_100.us_per_event"

_MANY = (
    Measurement(
        "local.floor.make_1000",
        "baseline: make -j of 1,000 processes `sh -c true`",
        floors.make_parallel,
        (_PER_EXEC, _ALL_CPU),
        group="many",
        repeats=5,
    ),
    Measurement(
        "local.floor.resident_shell_1000",
        "baseline: 1,000 `sh -c true` in resident shells",
        floors.resident_parallel,
        (_PER_EXEC,),
        group="many",
    ),
    Measurement(
        "local.floor.docker_exec",
        "baseline: an exec of the Engine API for each command",
        floors.docker_exec,
        (_PER_EXEC,),
        group="many",
    ),
    Measurement(
        "local.parallel_1000",
        "1,000 Execs at once, from the request until the client sees the end",
        commands.parallel_1000,
        _COMMANDS,
        ratios=(
            Ratio("ratio_to_make", "ms_per_exec", _MAKE, 3, 2.5),
            Ratio("warm_ratio_to_make", "warm_ms_per_exec", _MAKE, 3, 2.5),
            Ratio("ratio_to_docker_exec", "ms_per_exec", _DOCKER_EXEC, 0.06),
            Ratio("ratio_to_resident_shell", "ms_per_exec", _SHELL, 2.5),
            Ratio("warm_ratio_to_resident_shell", "warm_ms_per_exec", _SHELL, 2.5),
        ),
        group="many",
        repeats=5,
    ),
    Measurement(
        "local.parts_1000",
        "CPU time of the same by part",
        parts.cpu_parts,
        (
            _ALL_CPU,
            Metric("agent_ms", "ms"),
            Metric("containers_ms", "ms"),
            Metric("engine_ms", "ms"),
            Metric("client_ms", "ms"),
        ),
        ratios=(Ratio("cpu_ratio_to_make", "cpu_ms_per_exec", _MAKE_CPU),),
        group="many",
        repeats=5,
    ),
    Measurement(
        "local.two_level_1000",
        "10 groups of 100 Execs",
        commands.two_level_1000,
        _COMMANDS,
        ratios=(Ratio("ratio_to_flat", "ms_per_exec", _FLAT, 1.1, 1.0),),
        group="many",
        repeats=5,
    ),
    Measurement(
        "local.parallel_10000",
        "10,000 Execs",
        commands.parallel_10000,
        _COMMANDS,
        ratios=(
            Ratio("ratio_to_1000", "warm_ms_per_exec", _FLAT_WARM, 1.2, 1.1),
            Ratio("cpu_ratio_to_1000", "agent_cpu_ms_per_exec", _FLAT_CPU),
        ),
        group="many",
        repeats=2,
    ),
    Measurement(
        "local.parallel_100000",
        "100,000 Execs, and the agent's memory",
        commands.parallel_100000,
        (*_COMMANDS, Metric("megabytes", "MB"), Metric("peak_megabytes", "MB", 300, 200)),
        ratios=(
            Ratio("ratio_to_1000", "warm_ms_per_exec", _FLAT_WARM, 1.5, 1.1),
            Ratio("cpu_ratio_to_1000", "agent_cpu_ms_per_exec", _FLAT_CPU),
        ),
        group="many",
        repeats=1,
        full=True,
    ),
)

_CHAINS = (
    Measurement(
        "local.floor.make_chain_100",
        "baseline: make of 100 processes, one after another",
        floors.make_chain,
        (_PER_EXEC,),
        group="chain",
        repeats=5,
    ),
    Measurement(
        "local.floor.resident_shell_100",
        "baseline: 100 `sh -c true` in one resident shell",
        floors.resident_chain,
        (_PER_EXEC,),
        group="chain",
        repeats=5,
    ),
    Measurement(
        "local.serial_100",
        "a Serial of 100 Execs; warm: the latency of a hop",
        commands.serial_100,
        (_PER_EXEC, Metric("warm_ms_per_exec", "ms", 3, 2), _CPU),
        ratios=(
            Ratio("warm_ratio_to_make", "warm_ms_per_exec", _MAKE_CHAIN),
            Ratio("warm_ratio_to_resident_shell", "warm_ms_per_exec", _SHELL_CHAIN),
        ),
        group="chain",
        repeats=5,
    ),
    Measurement(
        "local.floor.python_50",
        "baseline: 50 interpreters that do nothing, in one resident shell",
        floors.resident_python,
        (_PER_EXEC,),
        group="python",
    ),
    Measurement(
        "local.native_isolated_50",
        "a Serial of 50 Python functions, each in a new interpreter",
        commands.native_isolated_50,
        (_PER_EXEC, Metric("warm_ms_per_exec", "ms", 20), _CPU, _CALL, _ALL_CPU),
        ratios=(Ratio("ratio_to_python", "call_ms", _PYTHON),),
        group="python",
    ),
    Measurement(
        "local.native_50",
        "the same in forks of one interpreter",
        commands.native_50,
        (*_COMMANDS, Metric("call_ms", "ms", 4, 2), _ALL_CPU),
        ratios=(
            Ratio("ratio_to_python", "call_ms", _PYTHON),
            Ratio("ratio_to_isolated", "call_ms", _ISOLATED),
            Ratio("cpu_ratio_to_isolated", "cpu_ms_per_exec", _ISOLATED_CPU),
        ),
        group="python",
    ),
    Measurement(
        "local.native_heavy_isolated_50",
        "50 functions of a module with many imports, each in a new interpreter",
        commands.native_heavy_isolated_50,
        (*_COMMANDS, _CALL, _ALL_CPU),
        group="python",
    ),
    Measurement(
        "local.native_heavy_200",
        "200 of them in forks of one interpreter",
        commands.native_heavy_200,
        (*_COMMANDS, _CALL, _ALL_CPU),
        ratios=(
            Ratio("ratio_to_isolated", "call_ms", _HEAVY, 0.05),
            Ratio("cpu_ratio_to_isolated", "cpu_ms_per_exec", _HEAVY_CPU, 0.05),
        ),
        group="python",
    ),
    Measurement(
        "local.process_1000",
        "1,000 Execs as plain processes: Conducto's own cost",
        commands.process_1000,
        (*_COMMANDS, Metric("cpu_ms_per_exec", "ms", 3, 2)),
        ratios=(
            Ratio("ratio_to_make", "ms_per_exec", _MAKE, 4, 2.5),
            Ratio("cpu_ratio_to_make", "cpu_ms_per_exec", _MAKE_CPU, 4, 2.5),
        ),
        group="process",
    ),
)

_WHOLE = (
    Measurement(
        "local.floor.doit_1000",
        "baseline: 1,000 plain processes of doit, the whole command",
        whole.doit,
        _WHOLE_METRICS,
        group="whole",
        full=True,
    ),
    Measurement(
        "local.floor.luigi_1000",
        "baseline: the same with Luigi",
        whole.luigi,
        _WHOLE_METRICS,
        group="whole",
        repeats=1,
        full=True,
    ),
    Measurement(
        "local.whole_1000",
        "1,000 Execs from the command line to the exit code",
        whole.conducto,
        _WHOLE_METRICS,
        ratios=(
            Ratio("ratio_to_doit", "seconds", "local.floor.doit_1000.seconds", 1.0, 0.8),
            Ratio("ratio_to_luigi", "seconds", "local.floor.luigi_1000.seconds", 1.0, 0.8),
        ),
        group="whole",
        full=True,
    ),
)

_FRESH_CONTAINERS = (
    Measurement(
        "local.floor.fresh_container",
        "baseline: create, start, wait, remove of the Engine API",
        floors.fresh_container,
        (_PER_EXEC,),
        group="fresh",
    ),
    Measurement(
        "local.floor.fresh_like_ours",
        "the same with Conducto's mounts and limits",
        floors.fresh_like_ours,
        (_PER_EXEC,),
        group="fresh",
    ),
    Measurement(
        "local.fresh_30",
        "30 Execs, each in a fresh container",
        commands.fresh_30,
        _COMMANDS,
        ratios=(
            Ratio("ratio_to_engine", "ms_per_exec", _FRESH, 1.1, 1.03),
            Ratio("ratio_to_engine_like_ours", "ms_per_exec", _FRESH_LIKE_OURS),
        ),
        group="fresh",
    ),
)

_LATENCY = (
    Measurement(
        "local.launch",
        "command line to first command, in a container",
        latency.launch_container,
        (Metric("seconds", "s", 1.0, 0.7), Metric("whole_seconds", "s")),
        group="latency",
        repeats=5,
    ),
    Measurement(
        "local.launch_process",
        "command line to first command, as a process",
        latency.launch_process,
        (Metric("seconds", "s", 0.6, 0.4), Metric("whole_seconds", "s")),
        group="latency",
        repeats=5,
    ),
    Measurement(
        "local.reset",
        "reset to first command, warm container",
        latency.reset,
        (Metric("seconds", "s", 0.3, 0.1),),
        group="latency",
        repeats=5,
    ),
    Measurement(
        "local.import",
        "import conducto and the names that a pipeline uses",
        latency.import_conducto,
        (Metric("ms", "ms", 100),),
        repeats=9,
    ),
    Measurement(
        "local.print_tree_1000",
        "print a tree of 1,000 nodes, the whole command",
        latency.print_tree_1000,
        (Metric("seconds", "s", 0.25, 0.1),),
        repeats=5,
    ),
)

_LARGE = (
    Measurement(
        "local.build_100000",
        "a tree of 100,000 Execs built and serialised; the process's memory",
        definition.build_100000,
        (
            Metric("seconds", "s", 3, 1.5),
            Metric("build_seconds", "s"),
            Metric("serialize_seconds", "s"),
            Metric("megabytes", "MB", 150),
            Metric("bytes_per_node", "B", 11),
        ),
    ),
    Measurement(
        "local.resolve_100000",
        "the same tree resolved; memory with tree and launch form",
        definition.resolve_100000,
        (Metric("seconds", "s", 5), Metric("megabytes", "MB")),
    ),
    *(
        Measurement(
            f"local.machine_event_{size}",
            f"one event of the machine in a tree of {size:,} Execs",
            event_cost(size),
            (Metric("us_per_event", "µs"),),
            ratios=()
            if size == 100
            else (Ratio("ratio_to_100", "us_per_event", _SMALL_EVENT, 1.5, 1.1),),
            group="machine",
        )
        for size in (100, 1000, 10_000, 100_000)
    ),
    Measurement(
        "local.cached_1000",
        "1,000 unchanged commands, which are from the cache, and one other",
        caching.unchanged_1000,
        (Metric("ms_per_exec", "ms", 2), _CPU),
        ratios=(Ratio("ratio_to_running", "ms_per_exec", _FLAT, 1),),
    ),
    Measurement(
        "local.floor.links_10000",
        "baseline: 10,000 symbolic links",
        caching.links_10000,
        (Metric("us_per_file", "µs"),),
        group="view",
    ),
    Measurement(
        "local.cache_view_10000",
        "a view of 10,000 files of 4 kB, and their digests",
        caching.view_10000,
        (Metric("us_per_file", "µs"), Metric("digest_us_per_file", "µs")),
        ratios=(Ratio("ratio_to_links", "us_per_file", "local.floor.links_10000.us_per_file", 4),),
        group="view",
    ),
    Measurement(
        "local.floor.copy_256mb",
        "baseline: a copy of 256 MB by the kernel, and its SHA-256",
        caching.copy_and_digest,
        (Metric("cpu_ms", "ms"),),
        group="restore",
    ),
    Measurement(
        "local.cache_restore_256mb",
        "a hit that writes a file of 256 MB; and how it is stored",
        caching.restore_large,
        (Metric("cpu_ms", "ms"), Metric("keep_cpu_ms", "ms", 5)),
        ratios=(Ratio("ratio_to_copy", "cpu_ms", "local.floor.copy_256mb.cpu_ms", 1.5),),
        group="restore",
    ),
    Measurement(
        "local.cache_known_256mb",
        "the digest of an unchanged file of 256 MB, in a process that has just started",
        caching.known_large,
        (Metric("cpu_ms", "ms", 5), Metric("first_cpu_ms", "ms")),
        group="restore",
    ),
    Measurement(
        "local.explain_100000",
        "a diagnosis of 100,000 Execs, of which 1,000 failed for 5 causes",
        explain_100000,
        (Metric("cpu_ms", "ms", 300), Metric("bytes", "bytes", 12_000)),
        repeats=1,
    ),
    Measurement(
        "local.memory_idle",
        "agent with nothing to do",
        memory.idle,
        (Metric("megabytes", "MB"), Metric("peak_megabytes", "MB")),
        repeats=1,
    ),
    Measurement(
        "local.memory_1000",
        "agent that ran 1,000 Execs",
        memory.run_1000,
        (Metric("megabytes", "MB"), Metric("peak_megabytes", "MB", 80, 60)),
        repeats=2,
    ),
    Measurement(
        "local.loaded_100000",
        "agent with 100,000 Execs that are not running",
        memory.loaded_100000,
        (
            Metric("launch_seconds", "s"),
            Metric("page_p95_ms", "ms", 200, 50),
            Metric("megabytes", "MB"),
            Metric("peak_megabytes", "MB", 300, 200),
        ),
        repeats=1,
    ),
    Measurement(
        "local.install",
        "pip install into a clean environment",
        install.install,
        (Metric("megabytes", "MB", 40, 30), Metric("packages", "", 12)),
        repeats=1,
        full=True,
    ),
)

LOCAL = Suite(
    name="local",
    measurements=(*_MANY, *_CHAINS, *_WHOLE, *_FRESH_CONTAINERS, *_LATENCY, *_LARGE),
    open_lab=open_local_lab,
)
