"""Spans of pipelines on this machine, received by a real HTTP server."""

import asyncio

import pytest

import conducto as co
from conducto_core.run.model.requests import Action
from conducto_core.telemetry.rules.spans import attempt_span_id, trace_id
from support.collector import attributes, collector
from support.local import local_runner


@pytest.fixture
def receiver():
    with collector() as found:
        yield found


@pytest.fixture
async def local(receiver, tmp_path, monkeypatch):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url)
    async with local_runner(tmp_path / "home", "process") as runner:
        yield runner


async def received(receiver, condition):
    await asyncio.to_thread(receiver.wait, condition)


def by_name(receiver):
    return {span.name: span for span in receiver.spans}


async def test_a_pipeline_is_a_trace_of_its_nodes_and_attempts(local, receiver):
    root = co.Serial()
    root["group"] = co.Parallel()
    root["group/a"] = co.Exec('echo "$TRACEPARENT"; echo "$OTEL_RESOURCE_ATTRIBUTES"')
    run = await local.run(root)

    await received(receiver, lambda: receiver.spans)
    spans = by_name(receiver)
    attempt, node, group = spans["attempt 1"], spans["a"], spans["group"]
    (top,) = (span for span in receiver.spans if not span.parent_span_id)

    assert {span.trace_id.hex() for span in receiver.spans} == {trace_id(run.id)}
    assert attempt.parent_span_id == node.span_id
    assert node.parent_span_id == group.span_id
    assert group.parent_span_id == top.span_id
    events = [event.name for event in attempt.events if event.name != "image"]
    assert events == ["queued", "claimed", "started", "ended"]
    assert attributes(top)["cicd.pipeline.result"] == "success"
    printed = (await run.output("/group/a")).decode().splitlines()
    assert printed[0] == f"00-{attempt.trace_id.hex()}-{attempt.span_id.hex()}-01"
    assert f"cicd.pipeline.run.id={run.id}" in printed[1].split(",")


async def test_a_rerun_is_another_span_that_links_to_the_first(local, receiver):
    run = await local.run(co.Exec("exit 3"))
    await received(receiver, lambda: receiver.spans)
    await run.control(Action.RERUN, "/")
    await received(receiver, lambda: len(receiver.traces) == 2)

    first, second = (span for span in receiver.spans if not span.parent_span_id)
    assert second.links[0].span_id == first.span_id
    again = receiver.spans[-2]
    assert again.links[0].span_id.hex() == attempt_span_id(run.id, "/", 1)
    assert attributes(again)["error.type"] == "exit_code"
    assert attributes(again)["cicd.pipeline.task.run.result"] == "failure"


async def test_the_configuration_of_the_profile_has_an_address_and_headers(
    receiver, tmp_path, monkeypatch
):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("CONDUCTO_BASE_DIR", raising=False)
    config = tmp_path / ".conducto" / "test" / "config"
    config.parent.mkdir(parents=True)
    config.write_text(f"[telemetry]\notlp_endpoint = {receiver.url}\notlp_headers = x-team=a%20b\n")
    async with local_runner(tmp_path / ".conducto", "process") as local:
        await local.run(co.Exec("true"))
        await received(receiver, lambda: receiver.spans)

    assert receiver.headers[0]["x-team"] == "a b"


async def test_a_collector_that_fails_is_reported_once_and_delays_nothing(local, receiver, caplog):
    receiver.status = 400
    for count in (1, 2):
        run = await local.run(co.Exec("true"))
        assert (await run.summary()).state == "done"
        await received(receiver, lambda count=count: receiver.requests == count)
    receiver.status = 200
    await local.run(co.Exec("true"))
    await received(receiver, lambda: receiver.spans)

    reports = [each for each in caplog.messages if each == "telemetry was not sent"]
    assert len(reports) == 1
    assert len(receiver.traces) == 1


async def test_an_address_at_which_nothing_listens_does_not_delay_the_end(tmp_path, monkeypatch):
    with collector() as gone:
        pass
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", gone.url)
    async with asyncio.timeout(30), local_runner(tmp_path / "home", "process") as local:
        run = await local.run(co.Exec("true"))
        assert (await run.summary()).state == "done"


async def test_metrics_are_sent_at_the_interval(tmp_path, receiver, monkeypatch):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url)
    monkeypatch.setenv("OTEL_METRIC_EXPORT_INTERVAL", "100")
    async with local_runner(tmp_path / "home", "process") as local:
        await local.run(co.Exec("true"))
        found = "conducto.attempt.duration"
        await received(receiver, lambda: receiver.metrics and found in receiver.points)

    (point,) = receiver.points[found].histogram.data_points
    assert (point.count, sum(point.bucket_counts)) == (1, 1)
    assert point.start_time_unix_nano < point.time_unix_nano
    assert attributes(point) == {"cicd.pipeline.task.run.result": "success"}
    (total,) = receiver.points["conducto.attempt"].sum.data_points
    assert total.as_double == 1
    assert receiver.points["conducto.queue.length"].gauge.data_points[0].as_double == 0


async def test_gauges_follow_running_commands_and_limits(tmp_path):
    async with local_runner(tmp_path / "home", "process") as local:
        run = await local.launch(co.Exec("echo up; sleep 60", limits=[co.Limit("db", 1)]))
        await run.printed("/", b"up")
        points = {point.name: point.value for point in await local.pipelines.metrics()}
        await run.control(Action.KILL, "/")
        await run.settled()

    assert points["conducto.command.running"] == 1
    assert points["conducto.limit.held"] == points["conducto.limit.maximum"] == 1
