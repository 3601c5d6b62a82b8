"""Results, metrics and artifacts of commands, on each engine."""

import json

import pytest

import conducto as co
from conducto_core.programs.history import (
    ComparisonParams,
    DifferenceKind,
    NodeHistoryParams,
    NodeRunsParams,
)
from conducto_core.results.model import CompareParams, MetricParams, OutputParams
from support.containers import BUSYBOX
from support.local import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")


def serial(**commands):
    root = co.Serial(image=BUSYBOX, stop_on_error=False)
    for name, command in commands.items():
        root[name] = co.Exec(command)
    return root


async def left(run, path, stream="result", attempt=None):
    query = OutputParams(id=run.id, path=path, attempt=attempt)
    return (await run.local.pipelines.attempt_output(query, stream))[1]


async def outputs(run, path):
    (attempt,) = await run.attempts(path)
    return attempt.outputs


async def test_result_is_kept_with_the_attempt(local):
    root = serial(a="""echo hello; echo '{"loss": 0.5}' >"$CONDUCTO_RUN_DIR/result" """)

    run = await local.run(root)

    assert await left(run, "/a") == b'{"loss":0.5}'
    assert (await outputs(run, "/a")).result == 12
    assert await run.output("/a") == b"hello\n"


async def test_attempt_has_the_size_of_its_output(local):
    run = await local.run(serial(a="echo out; echo err! >&2; exit 1", b="true"))

    assert [one.output_bytes for one in await run.attempts("/a")] == [9]
    assert [one.output_bytes for one in await run.attempts("/b")] == [0]


async def test_each_command_has_only_its_own_files(local):
    write = """cd "$CONDUCTO_RUN_DIR"; echo 1 >result; echo '{"name":"m","value":1}' >metrics"""

    run = await local.run(serial(a=write, b="true", c='ls -A "$CONDUCTO_RUN_DIR" | grep -v cmd.sh'))

    assert (await outputs(run, "/a")).metrics == ("m",)
    assert await outputs(run, "/b") is None
    assert await run.output("/c") == b""


async def test_result_of_a_failed_command_is_kept(local):
    run = await local.run(serial(a='echo 1 >"$CONDUCTO_RUN_DIR/result"; exit 3'))

    (attempt,) = await run.attempts("/a")
    assert (attempt.exit_code, attempt.outputs.result) == (3, 1)


@pytest.mark.parametrize(
    "command",
    [
        'ln -s /etc/passwd "$CONDUCTO_RUN_DIR/result"',
        'mkfifo "$CONDUCTO_RUN_DIR/result"',
        'mkdir "$CONDUCTO_RUN_DIR/result"',
        'touch "$CONDUCTO_RUN_DIR/result"',
        'ln -s /dev/zero "$CONDUCTO_RUN_DIR/metrics"',
    ],
    ids=["link", "pipe", "directory", "empty", "device"],
)
async def test_only_regular_files_of_the_run_directory_are_read(local, command):
    run = await local.run(serial(a=command, b="true"))

    assert await outputs(run, "/a") is None
    assert (await run.states())["/b"] == "done"


async def test_result_that_cannot_be_kept_is_a_warning_and_no_failure(local):
    large = 'head -c 1100000 /dev/zero | tr "\\0" 1 >"$CONDUCTO_RUN_DIR/result"'

    run = await local.run(serial(a='echo oops >"$CONDUCTO_RUN_DIR/result"', b=large))

    assert (await run.states())["/a"] == "done"
    assert await outputs(run, "/a") is None
    assert b"conducto: the result was not kept: " in await run.output("/a", "stderr")
    assert b"the maximum is 1,048,576" in await run.output("/b", "stderr")


async def test_metrics_of_a_running_command_can_be_read(local):
    point = '{"name":"loss","value":%s,"time":1}'
    write = f"""
        for n in 3 2; do
            printf '{point}\\n' $n >>"$CONDUCTO_RUN_DIR/metrics"
            if [ -n "$CONDUCTO_LIVE" ]; then
                printf '\\036conducto:metrics {point}\\n' $n >"$CONDUCTO_LIVE"
            fi
        done
        echo hello; sleep 60
    """
    run = await local.launch(serial(a=write))
    query = MetricParams(id=run.id, path="/a")

    await eventually(lambda: outputs_arrived(run, "/a", 2))
    (running,) = await run.attempts("/a")
    shown = await run.output("/a")
    await run.control("kill", "/a")
    await run.settled()
    (killed,) = await run.attempts("/a")
    kept = await run.local.pipelines.list_metrics(query)

    assert (running.state, running.outputs.metrics) == ("running", ("loss",))
    assert shown == b"hello\n"
    assert (killed.state, killed.outputs.metrics) == ("killed", ("loss",))
    assert [(one.values, one.steps) for one in kept.metrics] == [((3, 2), (0, 1))]


async def test_metrics_of_pipelines_with_a_title_are_compared(local):
    def tree(value):
        point = '{"name":"%s","value":%s}'
        lines = [point % ("loss", 4), point % ("loss", value), point % ("other", 1)]
        write = "".join(f"echo '{line}' >>\"$CONDUCTO_RUN_DIR/metrics\";" for line in lines)
        return serial(a=write, b="true")

    first = await local.run(tree(1), title="compared")
    second = await local.run(tree("null"), title="compared")
    await local.run(tree(3), title="compared too")
    query = CompareParams(title="compared", path="/a", name="loss", points=1)

    found = await local.pipelines.compare_metrics(query)

    assert [one.id for one in found.pipelines] == [second.id, first.id]
    (newer,), (older,) = (one.metrics for one in found.pipelines)
    assert (newer.last, newer.minimum, newer.maximum, newer.count) == (None, 4, 4, 2)
    assert (older.last, older.minimum, older.values, older.steps) == (1, 1, (4, 1), (0, 1))
    alone = await local.pipelines.compare_metrics(CompareParams(title="compared", limit=1))
    assert [(m.path, m.name, m.values) for m in alone.pipelines[0].metrics] == [
        ("/a", "loss", ()),
        ("/a", "other", ()),
    ]


async def test_history_of_a_node_has_its_earlier_runs(local):
    def tree(command, *, with_b=True):
        return serial(a=command, **({"b": "true"} if with_b else {}))

    runs = [
        await local.run(tree("sleep 0.2"), title="one node"),
        await local.run(tree("exit 3", with_b=False), title="one node"),
        await local.run(tree("sleep 0.4"), title="one node"),
        await local.run(tree("true"), title="one node"),
    ]
    query = NodeRunsParams(id=runs[2].id, path="/a")

    found = await local.pipelines.list_node_runs(query)

    assert found.complete
    assert [each.pipeline for each in found.runs] == [one.id for one in reversed(runs[:3])]
    assert [(each.state, each.exit_code) for each in found.runs] == [
        ("done", 0),
        ("error", 3),
        ("done", 0),
    ]
    assert 0.2 <= found.usual == found.runs[2].seconds < found.runs[0].seconds
    assert [[one.field for one in each.changed] for each in found.runs] == [
        ["command"],
        ["command"],
        [],
    ]
    without = await local.pipelines.list_node_runs(NodeRunsParams(id=runs[2].id, path="/b"))
    assert [each.pipeline for each in without.runs] == [runs[2].id, runs[0].id]
    group = await local.pipelines.list_node_runs(NodeRunsParams(id=runs[2].id, path="/", limit=2))
    assert [each.attempts for each in group.runs] == [0, 0]
    assert group.runs[0].seconds >= found.runs[0].seconds


async def test_earlier_pipelines_are_compared_up_to_a_time(local):
    write = """echo '{"name": "loss", "value": 1}' >"$CONDUCTO_RUN_DIR/metrics" """
    runs = [await local.run(serial(a=write), title="until") for _ in range(3)]
    created = (await runs[1].summary()).pipeline.created

    found = await local.pipelines.compare_metrics(CompareParams(title="until", until=created))

    assert [one.id for one in found.pipelines] == [runs[1].id, runs[0].id]
    assert found.complete


async def outputs_arrived(run, path, count):
    """Return whether a number of points of its only metric can be read."""
    found = await run.local.pipelines.list_metrics(MetricParams(id=run.id, path=path))
    return [len(one.values) for one in found.metrics] == [count]


async def test_results_of_all_attempts_are_kept(local):
    run = await local.run(serial(a='echo "$CONDUCTO_ATTEMPT" >"$CONDUCTO_RUN_DIR/result"'))

    await run.control("reset", "/a")
    await run.settled()

    assert await left(run, "/a") == b"2"
    assert await left(run, "/a", attempt=1) == b"1"


async def test_large_metrics_are_thinned(local):
    command = (
        "i=0; while [ $i -lt 12000 ]; do i=$((i+1)); "
        """echo '{"name":"loss","value":'$i'}'; done >"$CONDUCTO_RUN_DIR/metrics" """
    )

    run = await local.run(serial(a=command))

    series = json.loads(await left(run, "/a", "metrics"))
    assert series["count"] == 12_000
    assert len(series["values"]) == 6_001


async def test_later_command_reads_the_declared_results(local):
    root = co.Serial(image=BUSYBOX)
    root["train"] = co.Exec("""echo '{"loss": "it'"'"'s"}' >"$CONDUCTO_RUN_DIR/result" """)
    root["use"] = co.Exec('cat "$CONDUCTO_RUN_DIR/inputs"', results=["/train"])
    root["none"] = co.Exec('cat "$CONDUCTO_RUN_DIR/inputs"')

    run = await local.run(root)

    assert await run.output("/use") == b'{"/train":{"loss":"it\'s"}}'
    assert (await run.states())["/none"] == "error"


async def test_large_result_reaches_a_later_command(local):
    root = co.Serial(image=BUSYBOX)
    text = 'head -c 1000000 /dev/zero | tr "\\0" 7'
    quote = "printf '\"'"
    root["a"] = co.Exec(f'{{ {quote}; {text}; {quote}; }} >"$CONDUCTO_RUN_DIR/result"')
    root["b"] = co.Exec('wc -c <"$CONDUCTO_RUN_DIR/inputs"', results=["/a"])

    run = await local.run(root)

    assert int(await run.output("/b")) == 1_000_000 + len('{"/a":""}')


async def test_missing_result_fails_the_node_before_its_container_starts(local):
    root = co.Serial(image=BUSYBOX)
    root["a"] = co.Exec("true", container_reuse_context=co.ContainerReuseContext.NEW)
    root["b"] = co.Exec("true", results=["/a"])

    run = await local.run(root)

    (attempt,) = await run.attempts("/b")
    assert (attempt.state, attempt.cause, attempt.container) == ("error", "input", None)
    assert attempt.message.startswith("it uses the result of /a, which has none")


async def test_result_of_the_newest_attempt_is_used(local):
    root = co.Serial(image=BUSYBOX)
    root["a"] = co.Exec('echo "$CONDUCTO_ATTEMPT" >"$CONDUCTO_RUN_DIR/result"')
    root["b"] = co.Exec('cat "$CONDUCTO_RUN_DIR/inputs"', results=["/a"])
    run = await local.run(root)

    await run.control("reset", "/")
    await run.settled()

    assert await run.output("/b") == b'{"/a":2}'
    assert await run.output("/b", attempt=1) == b'{"/a":1}'


async def test_skipped_source_fails_the_node_that_uses_its_result(local):
    root = co.Serial(image=BUSYBOX)
    root["a"] = co.Exec('echo 1 >"$CONDUCTO_RUN_DIR/result"')
    root["b"] = co.Exec("true", results=["/a"])
    run = await local.launch(root, run=False)
    await run.control("skip", "/a")

    await run.control("run")
    await run.settled()

    (attempt,) = await run.attempts("/b")
    assert attempt.message == "it uses the result of /a, but /a was skipped; run /a first"


async def test_pipelines_of_a_program_are_compared_and_have_a_history(local):
    def tree(value, command):
        folder = 'cd "${CONDUCTO_DATA_PIPELINE:-/conducto/data/pipeline}"'
        root = serial(
            flaky=f"{folder}; test -e x || {{ touch x; exit 1; }}",
            result=f'echo {value} > "$CONDUCTO_RUN_DIR/result"',
            fails=command,
        )
        root["flaky"].on_error(co.callback.retry(1))
        return root

    first = await local.run(tree(1, "true"), title="history")
    second = await local.run(tree(2, "exit 3"), title="history")
    query = ComparisonParams(id=second.id, other=first.id)

    found = await local.pipelines.compare_pipelines(query)
    history = await local.pipelines.node_history(NodeHistoryParams(title="history"))

    kinds = {one.kind: one.items for one in found.differences}
    (failing,) = kinds.pop(DifferenceKind.NEWLY_FAILING)
    (result,) = kinds.pop(DifferenceKind.RESULT)
    edited = kinds.pop(DifferenceKind.COMMAND)
    assert (failing.name, failing.before, failing.after) == ("/fails", "done", "error")
    assert (result.name, result.before, result.after) == ("/result", "1", "2")
    assert [one.name for one in edited] == ["/result", "/fails"]
    assert (found.nodes, found.complete, kinds) == (3, True, {})
    assert history.pipelines == (first.id, second.id)
    assert [(one.path, one.outcomes) for one in history.flaky] == [("/flaky", "rr")]
    assert {one.path for one in history.slowest} == {"/flaky", "/result", "/fails"}
