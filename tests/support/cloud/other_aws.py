"""The adapters' suites run against dynalite and ministack as well as against moto.

``CONDUCTO_TEST_AWS=dynalite`` or ``ministack`` chooses; ``make test-adapters`` runs both.

dynalite (npm) is DynamoDB alone, so moto remains for the other services. ministack (PyPI) has a
virtual environment of its own, since its libraries are older than the checkout's.
"""

from __future__ import annotations

import atexit
import os
import shutil
import socket
import subprocess
import time
import urllib.request
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING

import pytest
from moto import mock_aws
from moto.core.models import botocore_stubber

from support.iam_data import TOOLS
from system.deploy import programs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from botocore.awsrequest import AWSPreparedRequest
    from moto.core.common_types import TYPE_RESPONSE

VARIABLE = "CONDUCTO_TEST_AWS"
MOTO, DYNALITE, MINISTACK = "moto", "dynalite", "ministack"
CHOSEN = os.environ.get(VARIABLE, MOTO)
_FOLDER = Path(__file__).parents[3] / "build/deploy"
_START_SECONDS = 60


@contextmanager
def chosen_aws() -> Iterator[None]:
    """Direct boto3's clients to the chosen implementation, after emptying it."""
    match CHOSEN:
        case "moto":
            _serve_one_at_a_time()
            with mock_aws():
                yield
        case "dynalite":
            url = dynalite()
            _post(f"{url}/reset")
            with mock_aws(), _endpoint("AWS_ENDPOINT_URL_DYNAMODB", url):
                yield
        case "ministack":
            url = ministack()
            _post(f"{url}/_ministack/reset")
            with _endpoint("AWS_ENDPOINT_URL", url):
                yield
        case other:
            raise ValueError(f"{VARIABLE}={other}: choose {MOTO}, {DYNALITE} or {MINISTACK}")


@cache
def _serve_one_at_a_time() -> None:
    """Let moto process one request at a time.

    It has no locks: a transaction that is cancelled puts back a copy of the table, and what other
    threads wrote meanwhile is lost.
    """
    turn, process = RLock(), botocore_stubber.process_request

    def processed(request: AWSPreparedRequest) -> TYPE_RESPONSE | None:
        with turn:
            return process(request)

    botocore_stubber.process_request = processed


@contextmanager
def _endpoint(name: str, url: str) -> Iterator[None]:
    os.environ[name] = url
    try:
        yield
    finally:
        del os.environ[name]


# ---- servers: one for this process, which ends with it -------------------------------------------


@cache
def dynalite() -> str:
    """Start dynalite with transactions and return its URL.

    Skips the test if Node or the package is missing.
    """
    node = shutil.which("node")
    if node is None or not (TOOLS / "node_modules/dynalite").is_dir():
        pytest.skip("dynalite is not installed: make tools (needs Node 20 and npm)")
    words = [node, str(TOOLS / "dynamodb.mjs")]
    process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    atexit.register(process.kill)
    assert process.stdout is not None
    return process.stdout.readline().strip()


def dynalite_alone() -> str:
    """Return the URL of an empty dynalite, without the additions of dynamodb.mjs."""
    return _post(f"{dynalite()}/reset")


@cache
def ministack() -> str:
    """Start ministack, after installing it if necessary, and return its URL."""
    programs.install_ministack(_FOLDER)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    words = [str(programs.ministack_python(_FOLDER)), "-m", "ministack"]
    environment = {**os.environ, "GATEWAY_PORT": str(port), "IOT_MTLS_ENABLED": "0"}
    with (_FOLDER / "adapters.log").open("wb") as log:
        process = subprocess.Popen(words, env=environment, stdout=log, stderr=log)
    atexit.register(process.kill)
    url = f"http://127.0.0.1:{port}"
    end = time.monotonic() + _START_SECONDS
    while not _responses(f"{url}/_ministack/health"):
        assert process.poll() is None, (_FOLDER / "adapters.log").read_text()[-2000:]
        assert time.monotonic() < end, f"{url}: no answer within {_START_SECONDS} s"
        time.sleep(0.1)
    return url


def _responses(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5):
            return True
    except OSError:
        return False


def _post(url: str) -> str:
    with urllib.request.urlopen(urllib.request.Request(url, method="POST"), timeout=30) as response:
        return str(response.read().decode())


# ---- differences ---------------------------------------------------------------------------------

#: ``{implementation: {part of a test's id: difference from AWS}}``.
DIFFERENCES: dict[str, dict[str, str]] = {
    MOTO: {},
    DYNALITE: {},
    MINISTACK: {
        **dict.fromkeys(
            (
                "test_the_definitions_of_a_pipeline_can_be_found_and_deleted[aws]",
                "test_deleted_task_definition_is_recreated_by_the_next_worker",
                "test_a_definition_that_was_deleted_by_half_is_found_and_deleted[aws]",
            ),
            "ListTaskDefinitionFamilies with the status ALL finds nothing (ecs.py:3341)",
        ),
        "test_machines_send_traces_where_the_installation_has_them[True]": (
            "DescribeStateMachine leaves out tracingConfiguration"
        ),
    },
}


def select(items: list[pytest.Item]) -> list[pytest.Item]:
    """Return the tests that use AWS; mark those that fail for a reason of the implementation.

    A marked test that passes all the same fails the run, so that the list stays true.
    """
    chosen = [item for item in items if _uses_aws(item)]
    for item in chosen:
        for name, reason in DIFFERENCES[CHOSEN].items():
            if name in item.nodeid:
                item.add_marker(pytest.mark.xfail(reason=f"{CHOSEN}: {reason}", strict=True))
    return chosen


def _uses_aws(item: pytest.Item) -> bool:
    callspec = getattr(item, "callspec", None)
    given = [] if callspec is None else list(callspec.params.values())
    return "aws" in given or (
        "clients" in getattr(item, "fixturenames", ()) and "fake" not in given
    )
