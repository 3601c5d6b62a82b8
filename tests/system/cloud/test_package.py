"""Tests of the whole cloud run the zip for Lambda, and no file of the checkout."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import conducto as co
from conducto_emulator.faults.latency import LAMBDA_SYNC_PAYLOAD
from conducto_emulator.lambdas.app import AppError
from conducto_emulator.lambdas.events import (
    EndedError,
    FunctionError,
    PayloadError,
    TooManyRequestsError,
)
from conducto_emulator.lambdas.package import PackagedApp
from conducto_emulator.resources import FUNCTIONS
from support.cloud.aws import environment

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conducto_emulator.emulator import Emulator
    from support.cloud.emulated import Cloud

pytestmark = [pytest.mark.docker, pytest.mark.cloud]

#: Parts of Lambda itself: its Python, which may be one inside of the checkout, and boto3.
STANDARD = Path(sys.base_prefix)
HOST = "host.py"


def test_the_functions_are_those_of_the_package(whole: Emulator, me: Cloud, package: Path) -> None:
    root = co.Serial(image="busybox:latest", cpu=0.25, mem=0.25)
    root["a"] = co.Exec("echo a")
    assert me.run(root).output("/a") == b"a\n"

    assert whole.package is not None
    files = [Path(name) for name in whole.package.describe()["files"]]

    ours = {file.relative_to(package).as_posix() for file in files if package in file.parents}
    assert {
        "app.py",
        "chalicelib/run/processor.py",
        "conducto_core/asl/rules/compiler.py",
    } <= ours
    assert {
        "chalice/app.py",
        "pydantic/__init__.py",
        "conducto_core/command/task_layout.py",
    } <= ours
    allowed = (package, STANDARD, whole.package.runtime)
    strangers = [f for f in files if not any(root in f.parents for root in allowed)]
    assert {file.name for file in strangers} == {HOST}


def test_functions_of_a_checkout_run_in_processes_of_their_own_as_well() -> None:
    made = PackagedApp(FUNCTIONS, path=sys.path)
    try:
        mirror = made.start(environment())
        assert "/api/v1/pipelines" in mirror.routes
        assert "every_minute" in mirror.handler_map
    finally:
        made.close()


def test_an_app_that_cannot_be_imported_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("import something_that_was_not_packaged\n")
    made = PackagedApp(tmp_path)

    try:
        with pytest.raises(AppError, match="cannot be imported"):
            made.start({})
    finally:
        made.close()


def test_errors_of_a_function_are_returned_to_its_caller(tmp_path: Path) -> None:
    (tmp_path / "chalice.py").write_text("")
    (tmp_path / "app.py").write_text(
        "from types import SimpleNamespace as Space\n"
        "class App: pass\n"
        "app = App()\n"
        "app.__dict__.update(app_name='x', routes={}, api=Space(binary_types=[]), handler_map={},\n"
        "    websocket_handlers={}, event_sources=[])\n"
        "def broken(event, context):\n"
        "    raise ValueError(event['say'] + ' ' + context.function_name)\n"
    )
    made = PackagedApp(tmp_path)
    try:
        made.start({})
        with pytest.raises(FunctionError, match="ValueError: no such thing broken"):
            made.call("broken", {"say": "no such thing"})
    finally:
        made.close()


SLOW_APP = """
import os, threading, time
from types import SimpleNamespace as Space
class App: pass
app = App()
app.__dict__.update(app_name='x', routes={}, api=Space(binary_types=[]), handler_map={},
    websocket_handlers={}, event_sources=[])
kept = []
def hang(event, context):
    try:
        open(event['began'], 'w').close()
        time.sleep(60)
    finally:
        open(event['cleaned'], 'w').close()
def crash(event, context):
    os._exit(3)
def count(event, context):
    kept.append(1)
    return [len(kept), context.get_remaining_time_in_millis()]
def large(event, context):
    return 'x' * event
"""


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PackagedApp]:
    """A package whose functions do what Lambda does not forgive."""
    folder = tmp_path_factory.mktemp("slow")
    (folder / "chalice.py").write_text("")
    (folder / "app.py").write_text(SLOW_APP)
    made = PackagedApp(folder)
    made.start({})
    yield made
    made.close()


def test_function_that_takes_too_long_is_killed_in_the_middle(
    slow: PackagedApp, tmp_path: Path
) -> None:
    began, cleaned = tmp_path / "began", tmp_path / "cleaned"
    slow.seconds["hang"] = 1.0

    with pytest.raises(EndedError, match=r"Task timed out after 1\.00 seconds"):
        slow.call("hang", {"began": str(began), "cleaned": str(cleaned)})
    with pytest.raises(EndedError, match="Runtime exited"):
        slow.call("crash", {})

    assert began.exists()
    assert not cleaned.exists()  # no further line of it ran
    assert slow.call("count", {})[0] == 1  # others continue


def test_function_keeps_its_memory_for_its_next_call_and_knows_its_time(slow: PackagedApp) -> None:
    before = slow.call("count", {})[0]
    slow.seconds["count"] = 20.0

    after, left = slow.call("count", {})

    assert after == before + 1
    assert 0 < left <= 20_000


def test_calls_beyond_the_concurrency_and_the_payload_are_refused(slow: PackagedApp) -> None:
    size = LAMBDA_SYNC_PAYLOAD.value
    with pytest.raises(PayloadError):
        slow.call("count", "x" * size)
    with pytest.raises(FunctionError, match="response"):
        slow.call("large", size)

    slow.concurrency = 0
    with pytest.raises(TooManyRequestsError, match=r"Rate Exceeded\."):
        slow.call("count", {})
    slow.concurrency = None
    assert slow.call("count", {})
