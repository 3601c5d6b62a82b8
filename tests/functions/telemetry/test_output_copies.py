"""Copies of output in the administrator's bucket."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any

from tests.fakes.cloud import FakeBlobs

from chalicelib.logs.port import LogKey
from chalicelib.run.rules.deferred import DeferredEffects
from chalicelib.telemetry.output import MAX_LINE
from conducto_core.run.model.requests import Action
from conducto_core.run.model.states import Cause
from support.cloud.world import ME, World
from support.trees import leaf, serial

if TYPE_CHECKING:
    from collections.abc import Iterator


def copies(bucket: FakeBlobs) -> Iterator[list[dict[str, Any]]]:
    for name in bucket.names():
        data = bucket.get(name)
        assert data is not None
        yield [json.loads(line) for line in gzip.decompress(data).splitlines()]


def test_an_attempt_is_one_object_of_lines() -> None:
    bucket = FakeBlobs()
    world = World(log_bucket=bucket)
    pipeline = world.launch(serial(leaf("a")))
    world.serve()
    world.logs.append(
        LogKey(pipeline, "/a", 1, "stdout"), 0, b"one\n\xff\n" + b"x" * (MAX_LINE + 5)
    )
    world.logs.append(LogKey(pipeline, "/a", 1, "stderr"), 0, b"oops\n")
    world.running()["/a"].finish(Cause.EXIT_CODE)
    world.run_out()

    (name,) = bucket.names()
    day = "1970-01-12"
    assert name.startswith(f"conducto/test/acme/{day}/{pipeline}/")
    assert name.endswith(".1.jsonl.gz")
    (found,) = copies(bucket)
    assert found[0]["path"] == "/a"
    assert (found[0]["attempt"], found[0]["cause"]) == (1, "exit_code")
    lines = [(each["stream"], each["line"], each["text"]) for each in found[1:]]
    assert lines == [
        ("stdout", 0, "one"),
        ("stdout", 1, "\ufffd"),
        ("stdout", 2, "x" * MAX_LINE),
        ("stdout", 2, "x" * 5),
        ("stderr", 0, "oops"),
    ]


def test_a_rerun_copies_its_own_attempts() -> None:
    bucket = FakeBlobs()
    world = World(log_bucket=bucket)
    pipeline = world.launch(serial(leaf("a"), leaf("b")))
    world.run_out()
    assert len(bucket.names()) == 2
    for name in bucket.names():
        bucket.delete(name)
    world.now += 100
    world.control(pipeline, Action.RERUN, "/b")
    world.run_out()

    (found,) = copies(bucket)
    assert (found[0]["path"], found[0]["attempt"]) == ("/b", 2)


def test_another_invocation_continues_when_the_time_is_short() -> None:
    bucket = FakeBlobs()
    world = World()
    pipeline = world.launch(serial(leaf("a"), leaf("b"), leaf("c")))
    world.run_out()
    world.use(log_bucket=bucket)
    later: list[Any] = []
    world.use(log_bucket=bucket, invoke_background=later.append)
    effects = DeferredEffects(org=ME.org, pipeline_id=pipeline, ended=True)
    world.engine.deferred.execute(effects, lambda: 0.0)
    assert len(bucket.names()) == 1

    while later:
        world.engine.deferred.execute(later.pop().effects, lambda: 0.0)
    assert len(bucket.names()) == 3
