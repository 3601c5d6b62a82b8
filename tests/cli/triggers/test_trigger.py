"""``conducto trigger test``: what an event would launch, by the files of a directory."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from support.webhooks import github_pull_request, github_push, gitlab_push

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

GOOD = """[push docs]
command = make docs
filter = {branch} == docs

[push main]
command = python pipeline.py --sha={sha}
"""


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "cfg").write_text(GOOD)
    return tmp_path


def words(folder: Path, payload: dict[str, Any] | str, *more: str) -> list[str]:
    event = folder / "event.json"
    event.write_text(payload if isinstance(payload, str) else json.dumps(payload))
    return ["trigger", "test", "--event", str(event), "--config", str(folder / "cfg"), *more]


def test_event_shows_the_section_and_its_command(
    files: Path, conducto: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert conducto(*words(files, {**github_push(), "pusher": {}})) == 0

    printed = capsys.readouterr().out
    assert "the filter of [push docs] does not match" in printed
    assert f"[push main] launches: python pipeline.py --sha={'a' * 40}" in printed


def test_event_is_recognised_or_named(
    files: Path, conducto: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    conducto(*words(files, gitlab_push(), "--json"))
    (found,) = json.loads(capsys.readouterr().out)["events"]
    assert (found["section"], found["env"]["CONDUCTO_TRIGGER_USER"]) == ("push main", "ann")
    assert conducto(*words(files, github_pull_request(fork=True))) == 1
    assert "launches nothing" in capsys.readouterr().out
    conducto(*words(files, {"ref": "v1", "ref_type": "tag"}))
    assert "--name: name the event" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "repository", "message"),
    [
        ("bad name", "https://github.com/acme/app", "name: write at most 63 letters"),
        ("app", "github.com/acme/app", "repository: write an address, such as https://"),
        ("app", "https://github.com/acme", "write its address with owner and name"),
    ],
)
def test_invalid_trigger_is_refused_with_a_remedy(
    conducto: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
    name: str,
    repository: str,
    message: str,
) -> None:
    assert conducto("trigger", "add", name, "--repository", repository) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("config", "payload", "name", "message"),
    [
        ("[push]\ncommand = x\nfilter = {a} == b\n", github_push(), "push", "line 3: filter"),
        (GOOD, "{", "push", "is not JSON"),
        (GOOD, "[]", "push", "is not a JSON object"),
        (GOOD, {"pull_request": {}}, "pull_request", "has no field"),
    ],
)
def test_invalid_files_are_an_error(  # noqa: PLR0917  the columns of the table
    files: Path,
    conducto: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
    config: str,
    payload: dict[str, Any] | str,
    name: str,
    message: str,
) -> None:
    (files / "cfg").write_text(config)

    assert conducto(*words(files, payload, "--name", name)) != 0
    assert message in capsys.readouterr().err
