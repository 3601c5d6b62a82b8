"""``conducto cloud-emulator``, as a person starts it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from conducto_emulator.tasks.containers import LABEL
from support.stand_ins import call, ensure

pytestmark = [pytest.mark.docker, pytest.mark.cloud]


_ENTRY = "import sys; from conducto.tools.entry import main; sys.exit(main())"


def conducto(base: Path, *words: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-c", _ENTRY, *words],
        env={**os.environ, "CONDUCTO_BASE_DIR": str(base)},
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )
    return done.returncode, done.stdout + done.stderr


def test_up_and_down(tmp_path: Path) -> None:
    ensure(["python:3.13-slim"])
    try:
        code, up = conducto(tmp_path, "cloud-emulator", "up", "--strict", "--seed", "5")
        assert code == 0, up
        url = up.split("--url ")[1].split()[0]
        programs = Path(up.split("export PATH=")[1].partition(":$PATH")[0])
        assert os.access(programs / "session-manager-plugin", os.X_OK)
        token = conducto(tmp_path, "cloud-emulator", "token")[1].strip()

        again = conducto(tmp_path, "cloud-emulator", "up")
        same = conducto(tmp_path, "cloud-emulator", "up", "--strict", "--port", url.split(":")[2])
        other = conducto(tmp_path, "cloud-emulator", "up", "--billing", "--seed", "6")
        status = conducto(tmp_path, "cloud-emulator", "status")
        stage = ("--org", "local", "--stage", "emulator")
        changed = conducto(tmp_path, "admin", "set-plan", *stage, "--max-workers", "7")
        plan = conducto(tmp_path, "admin", "plan", *stage, "--json")
        minted = conducto(tmp_path, "admin", "mint-token", *stage, "--user", "ann")
        request = urllib.request.Request(
            f"{url}/api/v1/pipelines", headers={"Authorization": f"Bearer {token}"}
        )
        with urllib.request.urlopen(request) as response:
            listed = json.load(response)
        request.headers["Authorization"] = "Bearer cdo_wrong"
        with pytest.raises(urllib.error.HTTPError) as refused, urllib.request.urlopen(request):
            pass
        refused.value.close()
        state = tmp_path / "cloud-emulator" / "emulator.json"
        mode, mark = state.stat().st_mode, json.loads(state.read_text())["mark"]
    finally:
        code, said = conducto(tmp_path, "cloud-emulator", "down")

    log = tmp_path / "cloud-emulator" / "emulator.log"
    assert (code, said) == (0, f"emulator stopped; its log: {log}\n")
    assert {each.name for each in log.parent.iterdir()} == {log.name, "ports.json"}
    assert "already" in again[1]
    assert same == again
    assert other[0] == 1
    assert f"runs already, at {url}, without --billing, --seed 6" in other[1]
    assert "conducto cloud-emulator down" in other[1]
    assert (status[0], url in status[1]) == (0, True)
    assert changed[0] == 0, changed[1]
    assert (plan[0], json.loads(plan[1])["plan"]["max_workers"]) == (0, 7)
    assert (minted[0], minted[1].startswith("cdo_")) == (0, True)
    assert "HTTP" in up  # what remains exposed
    assert token not in up  # a history of commands must not contain it
    assert listed["pipelines"] == []
    assert refused.value.code in {401, 403}
    assert mode & 0o077 == 0
    filters = json.dumps({"label": [f"{LABEL}={mark}"]})
    assert json.loads(call("GET", "/containers/json", {"filters": filters})[1]) == []


def containers(**label: str) -> list[dict[str, Any]]:
    """Return those with these labels, running or not."""
    wanted = {"label": [f"{name}={value}" for name, value in label.items()]}
    query = {"filters": json.dumps(wanted), "all": "true"}
    found: list[dict[str, Any]] = json.loads(call("GET", "/containers/json", query)[1])
    return found


@pytest.mark.long
def test_leftovers_of_a_killed_emulator_are_removed_by_the_next_one(tmp_path: Path) -> None:
    ensure(["python:3.13-slim", "busybox:latest"])
    folder = tmp_path / "cloud-emulator"
    try:
        code, said = conducto(tmp_path, "cloud-emulator", "up")
        assert code == 0, said
        killed = json.loads((folder / "emulator.json").read_text())
        label = {LABEL: killed["mark"]}
        body = {"Image": "busybox:latest", "Cmd": ["sleep", "600"], "Labels": label}
        response = call(
            "POST", "/containers/create", body=json.dumps(body).encode(), kind="application/json"
        )
        made = json.loads(response[1])["Id"]
        call("POST", f"/containers/{made}/start")
        (folder / "files" / "tasks").mkdir(parents=True, exist_ok=True)
        (folder / "files" / "tasks" / "left").write_text("by a task")
        os.kill(killed["pid"], signal.SIGKILL)
        before = [each["Id"] for each in containers(**label)]

        up = conducto(tmp_path, "cloud-emulator", "up")

        assert before == [made]
        assert (up[0], "already" in up[1]) == (0, False), up[1]
        assert containers(**label) == []
        assert not (folder / "files" / "tasks" / "left").exists()
    finally:
        conducto(tmp_path, "cloud-emulator", "down")


def test_down_and_status_without_an_emulator(tmp_path: Path) -> None:
    assert conducto(tmp_path, "cloud-emulator", "down") == (0, "no emulator is running\n")
    assert conducto(tmp_path, "cloud-emulator", "status")[0] == 1
    assert conducto(tmp_path, "cloud-emulator", "token")[0] == 1
    code, said = conducto(tmp_path, "admin", "plan", "--org", "local", "--stage", "emulator")
    assert (code, "conducto cloud-emulator up" in said) == (1, True)
