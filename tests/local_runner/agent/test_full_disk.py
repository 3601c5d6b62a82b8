"""An agent on a full disk: its start names the reason, and `conducto gc` frees space without it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from conducto_core.installation.model import GcRequest
from conducto_local.agent.launcher import AgentStartError, ensure_agent, stop_agent
from conducto_local.agent.runner import collect_without_agent
from conducto_local.agent.state_dir import StateDir
from support.disks import fill, small_disk


def conducto(home: StateDir, *words: str) -> "subprocess.CompletedProcess[str]":
    command = [str(Path(sys.executable).with_name("conducto")), *words]
    variables = {"CONDUCTO_BASE_DIR": str(home.base), "CONDUCTO_PROFILE": home.profile}
    env = {**os.environ, **variables}
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False)


def test_full_disk_is_reported_for_files_of_the_agent(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 8) as disk:
        home = StateDir(disk / "base", "full")
        ensure_agent(home)
        fill(disk)

        refused = conducto(home, "notify", "add", "ops", "--slack", "#ops")
        stop_agent(home)

        assert refused.returncode == 1
        assert "No space left on device" in refused.stderr
        assert "internal error" not in refused.stderr


def test_start_on_a_full_disk_is_refused_and_gc_works_without_the_agent(
    tmp_path: Path,
) -> None:
    with small_disk(tmp_path / "disk", 8) as disk:
        home = StateDir(disk / "base", "full")
        ensure_agent(home)
        assert collect_without_agent(home, GcRequest()) is None, "the agent collects"
        stop_agent(home)
        cache = home.agent / "cache"
        cache.mkdir()
        (cache / "clone").write_bytes(bytes(2 << 20))
        fill(disk)

        with pytest.raises(AgentStartError, match="the disk is full or over its quota"):
            ensure_agent(home)
        collected = conducto(home, "gc")

        assert collected.returncode == 0
        assert str(cache) in collected.stdout
        assert "2.0 MB freed" in collected.stdout
        assert "without the agent" in collected.stdout
        ensure_agent(home)
        stop_agent(home)
