"""Authentication of ECS Exec sessions; tests/system/cloud/test_remote_debug.py uses them."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from starlette.websockets import WebSocket

from conducto_emulator.tasks import exec as session_manager_plugin
from conducto_emulator.tasks.exec import PATH, EcsExec

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


@pytest.fixture
def sessions() -> EcsExec:
    return EcsExec("http://emulator:1", lambda task, name: f"{task}-{name}")


def response_to(sessions: EcsExec, address: str, hello: Any) -> int:
    """Return the code with which somebody who says hello is sent away."""
    said = hello if isinstance(hello, str) else json.dumps(hello)
    coming = iter([{"type": "websocket.connect"}, {"type": "websocket.receive", "text": said}])
    sent: list[Any] = []

    async def receive() -> Any:
        return next(coming)

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "websocket",
        "path": address,
        "headers": [],
        "path_params": {"name": address.rpartition("/")[2]},
    }
    asyncio.run(sessions.serve(WebSocket(scope, receive, send)))
    (code,) = [each["code"] for each in sent if each["type"] == "websocket.close"]
    return int(code)


def hello(session: Mapping[str, str], **changes: Any) -> dict[str, Any]:
    return {"ticket": session["tokenValue"], "lines": 24, "columns": 80, **changes}


def test_a_session_says_where_it_is_and_has_a_key_of_its_own(sessions: EcsExec) -> None:
    first, second = (sessions.open("task", "user", "sh") for _ in range(2))

    assert first["streamUrl"].startswith("ws://emulator:1/sessions/")
    assert first["streamUrl"].endswith(first["sessionId"])
    assert first["tokenValue"] != second["tokenValue"]


@pytest.mark.parametrize("wrong", [{"ticket": "guessed"}, {"ticket": None}])
def test_session_requires_its_key(sessions: EcsExec, wrong: dict[str, Any]) -> None:
    session = sessions.open("task", "user", "sh")
    address = urlsplit(session["streamUrl"]).path

    assert response_to(sessions, address, hello(session, **wrong)) == 4403


def test_the_key_of_one_session_is_none_of_another(sessions: EcsExec) -> None:
    mine, other = (sessions.open("task", "user", "sh") for _ in range(2))

    assert response_to(sessions, urlsplit(other["streamUrl"]).path, hello(mine)) == 4403


@pytest.mark.parametrize("said", ["no JSON", {"ticket": "x", "rows": 24}])
def test_invalid_session_request_is_closed(sessions: EcsExec, said: Any) -> None:
    sessions.open("task", "user", "sh")

    assert response_to(sessions, f"{PATH}/unknown", said) == 4403


def test_the_stand_in_is_a_program_of_the_plugins_name(tmp_path: Path) -> None:
    folder = session_manager_plugin.install(tmp_path / "bin")

    (program,) = folder.iterdir()
    assert program.name == "session-manager-plugin"
    assert program.stat().st_mode & 0o111


@pytest.mark.parametrize("words", [[], ["a", "b", "Resume", "", "", ""], ["--help"]])
def test_stand_in_rejects_arguments_that_the_plugin_rejects(words: list[str]) -> None:
    assert session_manager_plugin.main(words) == 255


def test_stand_in_reports_a_sufficient_version(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert session_manager_plugin.main(["--version"]) == 0
    assert capsys.readouterr().out == f"{session_manager_plugin.VERSION}\n"
