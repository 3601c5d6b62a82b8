"""Limits that the documentation promises are those of the code, and secrets stay where it says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from conducto_core.api.operation import REMEMBERED_RESPONSES, REMEMBERED_SECONDS
from conducto_core.command.environment import ExecutionContext, command_env
from conducto_core.command.usage import MAX_POINTS
from conducto_core.run.rules.outcomes import MAX_LOST_STARTS
from conducto_local.debug.page import DEFAULTS as SHELLS
from conducto_local.engine.docker.container import MAX_PIDS
from conducto_local.server.auth import CODE_SECONDS, SESSION_SECONDS, Sessions
from conducto_local.server.listener import HEAD_SECONDS, MAX_CONNECTIONS, bind

CONCEPTS = Path(__file__).parents[3] / "docs" / "concepts"
_HOUR = 3600
_MAX_SESSIONS = 1000


@pytest.mark.parametrize(
    ("page", "promise"),
    [
        ("security", f"A login is valid once and for {CODE_SECONDS} seconds"),
        ("security", f"run at most {MAX_PIDS:,} processes and threads"),
        ("security", f"valid once and for {SHELLS.ticket:g} seconds"),
        ("security", f"At most {SHELLS.shells} shells are open at once"),
        ("security", f"Each ends after {SHELLS.seconds / _HOUR:g} hours"),
        ("api", f"valid once and for {CODE_SECONDS} seconds"),
        ("api", f"A session lasts {SESSION_SECONDS // (24 * _HOUR)} days"),
        ("api", f"at most {_MAX_SESSIONS:,} sessions; one more ends the oldest"),
        ("api", f"remembered for {REMEMBERED_SECONDS / _HOUR:g} hours"),
        ("api", f"the last {REMEMBERED_RESPONSES:,} responses are"),
        ("attempts-and-history", f"at most {MAX_POINTS} points"),
        ("time-limits-and-retries", f"without a callback, up to {MAX_LOST_STARTS} times"),
        ("local-runner-and-agent", f"to {MAX_CONNECTIONS}, or a quarter"),
        ("local-runner-and-agent", f"has to come within {HEAD_SECONDS:g} seconds"),
    ],
)
def test_limit_equals_the_documented_one(page: str, promise: str) -> None:
    text = re.sub(r"\s+", " ", (CONCEPTS / f"{page}.md").read_text())

    assert promise in text


def test_one_session_more_ends_the_oldest() -> None:
    sessions = Sessions("token", 1, lambda: 1000.0)
    cookies = [sessions.new_session() for _ in range(_MAX_SESSIONS + 1)]

    assert [sessions.is_session(cookie) for cookie in cookies[:2]] == [False, True]
    assert sessions.is_session(cookies[-1])


def test_agent_listens_on_the_loopback_only() -> None:
    with bind() as listening:
        assert listening.getsockname()[0] == "127.0.0.1"


def test_commands_get_no_token_of_the_api() -> None:
    env = command_env({}, ExecutionContext("abc-def", "http://x"), path="/", attempt=1, path_map={})

    assert [name for name in env if "TOKEN" in name] == []
