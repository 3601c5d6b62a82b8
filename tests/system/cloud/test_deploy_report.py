"""`conducto deploy --report`: the checks pass in the emulator, and the file has no identity."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from conducto_cli.deploy import report
from support.stand_ins import ensure

if TYPE_CHECKING:
    from pathlib import Path

    from support.cloud.emulated import Cloud

pytestmark = [pytest.mark.docker, pytest.mark.cloud, pytest.mark.timeout(1200)]


def test_all_automatic_rows_are_ok_and_the_file_is_anonymous(
    me: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ensure(["busybox:latest"])
    monkeypatch.setenv("CONDUCTO_BASE_DIR", str(tmp_path / "base"))
    monkeypatch.setenv("CONDUCTO_URL", me.emulator.url)
    monkeypatch.setenv("CONDUCTO_TOKEN", me.token)
    lines: list[str] = []

    passed = report.write(tmp_path / "report.json", None, "eu-west-1", lines.append)

    text = (tmp_path / "report.json").read_text()
    found = json.loads(text)
    assert passed, lines
    assert {row["check"]: row["result"] for row in found["rows"]} == dict.fromkeys(
        [
            "deploy", "hello", "failure and rerun", "data", "secrets",
            "build", "debug", "limits", "price", "teardown",
        ],
        "ok",
    )  # fmt: skip
    assert next(row for row in found["rows"] if row["check"] == "price")["dollars"] > 0
    numbers = {int(line.partition(":")[0]) for line in found["only_a_person_can_check"]}
    assert {5, 46} <= numbers
    assert not {0, 1, 11} & numbers
    for identity in (me.token, str(urlsplit(me.emulator.url).netloc), "pipeline deployment"):
        assert identity not in text


def test_failed_check_is_a_row_without_its_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONDUCTO_BASE_DIR", str(tmp_path / "base"))
    monkeypatch.setenv("CONDUCTO_URL", "http://127.0.0.1:9/api")
    monkeypatch.setenv("CONDUCTO_TOKEN", "cdo_nobody")
    lines: list[str] = []

    passed = report.write(tmp_path / "report.json", None, "eu-west-1", lines.append)

    text = (tmp_path / "report.json").read_text()
    assert not passed
    assert json.loads(text)["rows"][1]["result"] == "failed"
    assert "127.0.0.1" not in text
    assert any("127.0.0.1" in line for line in lines)
