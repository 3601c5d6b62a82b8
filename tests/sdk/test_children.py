"""``co.launch`` in a command: its errors before anything is sent, and its repetitions."""

from __future__ import annotations

import json
import os
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

import conducto as co
from conducto import children
from conducto.children.requests import call
from conducto.errors import AgentUnreachableError, ApiError, ConductoError, InvalidArgumentError
from conducto.wire.launching import CALLS, CHANNEL, LAUNCH, MAX_BODY, TOKEN

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def inside(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Return the environment of a command, without a token."""
    for name in (LAUNCH, TOKEN, CHANNEL):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("__RUN_BY_WORKER__", "1")
    monkeypatch.setenv("CONDUCTO_NODE", "/train")
    return monkeypatch


def command_launch() -> Any:
    """Return ``co.launch`` of a command; other tests of the process use that of scripts."""
    found = co.__getattr__("launch")
    vars(co).pop("launch")  # the module remembers it
    return found


def tree() -> co.Serial:
    root = co.Serial()
    root["a"] = co.Exec("true")
    return root


@pytest.mark.usefixtures("inside")
def test_command_without_the_parameter_cannot_launch() -> None:
    expected = "the command of /train may not launch pipelines; set launch=True on the node"
    with pytest.raises(ConductoError, match=expected):
        command_launch()(tree())


def test_shell_without_a_token_cannot_launch(inside: pytest.MonkeyPatch) -> None:
    inside.setenv(LAUNCH, "1")

    with pytest.raises(ConductoError, match="only the command of an attempt has one"):
        command_launch()(tree())


def test_channel_of_an_ended_attempt_is_an_error(
    inside: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    inside.setenv(TOKEN, "cdo_x")
    inside.setenv(CHANNEL, str(tmp_path))
    os.mkfifo(tmp_path / CALLS)  # which nothing reads

    with pytest.raises(AgentUnreachableError, match="has ended"):
        call("GET", "abc-def")


def nested(depth: Any) -> Any:
    return depth


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((tree(),), {"target": "cloud"}, "its own target, 'local'"),
        ((tree(),), {"engine": "process"}, "engine= is not available in a command"),
        ((tree(), 1), {}, "a tree takes no arguments, got 1"),
        ((3,), {}, "expected a tree or a function that returns one, got 3"),
        ((nested,), {"depth": 3}, "expected a tree, the function returned 3"),
    ],
)
def test_wrong_arguments_are_errors(
    inside: pytest.MonkeyPatch, arguments: Any, options: Any, message: str
) -> None:
    inside.setenv(TOKEN, "cdo_x")
    inside.setenv(CHANNEL, "/nowhere")

    with pytest.raises(InvalidArgumentError, match=message):
        children.launch(*arguments, **options)


def test_invalid_tree_is_an_error_before_it_is_sent(inside: pytest.MonkeyPatch) -> None:
    inside.setenv(TOKEN, "cdo_x")
    inside.setenv(CHANNEL, "/nowhere")
    wrong = tree()
    wrong["a"].cpu = -1

    with pytest.raises(co.DefinitionError, match="/a"):
        children.launch(wrong)
    with pytest.raises(co.DefinitionError, match="/a: is a node inside a tree; launch its root"):
        children.launch(tree()["a"])


def test_handle_shows_no_token(inside: pytest.MonkeyPatch) -> None:
    inside.setenv(TOKEN, "cdo_secret")
    inside.setenv(CHANNEL, "/nowhere")
    child = children.ChildPipeline(json.loads('{"id": "abc-def", "title": "child"}'))
    with pytest.raises(InvalidArgumentError, match="5 is not the id of a pipeline, nor a handle"):
        children.get_pipeline(5)  # type: ignore[arg-type]

    assert repr(child) == "<pipeline abc-def (local): 'child'>"


def test_pipeline_that_is_too_large_is_an_error_before_it_is_sent(
    inside: pytest.MonkeyPatch,
) -> None:
    inside.setenv(TOKEN, "cdo_x")
    inside.setenv(CHANNEL, "/nowhere")

    with pytest.raises(ApiError, match="the maximum is 5,242,880"):
        children.launch(tree(), doc="x" * MAX_BODY)


class Overloaded(BaseHTTPRequestHandler):
    """Rejects a request, closes the next connection, and then responds."""

    keys: ClassVar[list[str | None]] = []

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.keys.append(self.headers["Idempotency-Key"])
        if len(self.keys) == 2:
            return
        self.send_response(503 if len(self.keys) == 1 else 200)
        self.end_headers()
        self.wfile.write(b'{"id": "abc-def", "title": "child"}')

    def log_message(self, *_: Any) -> None:
        """Print nothing."""


def test_launch_is_repeated_under_one_key(inside: pytest.MonkeyPatch) -> None:
    with HTTPServer(("127.0.0.1", 0), Overloaded) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        inside.setenv(TOKEN, "cdo_x")
        inside.setenv("CONDUCTO_URL", f"http://127.0.0.1:{server.server_port}")

        child = children.launch(tree())
        server.shutdown()

    assert child.id == "abc-def"
    assert len(Overloaded.keys) == 3
    assert len(set(Overloaded.keys)) == 1
