"""A launch in the background: what the agent and its commands inherit of ignored signals."""

import os
import signal
import subprocess
import sys

import pytest

from conducto_local.agent.launcher import stop_agent
from conducto_local.agent.state_dir import open_state_dir

SCRIPT = """
import conducto as co

def pipe() -> co.Exec:
    return co.Exec("grep -E 'Sig(Ign|Blk)' /proc/self/status")

if __name__ == "__main__":
    co.main(default=pipe)
"""
IGNORED = (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGTERM, signal.SIGUSR1)


def in_background() -> None:
    for number in IGNORED:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2])


@pytest.fixture
def env(tmp_path, monkeypatch):
    """Return the environment of a profile of its own, whose agent is stopped at the end."""
    monkeypatch.setenv("CONDUCTO_BASE_DIR", str(tmp_path / "base"))
    monkeypatch.setenv("CONDUCTO_PROFILE", "tests")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    yield dict(os.environ)
    stop_agent(open_state_dir("tests"))


def test_commands_of_a_launch_in_the_background_ignore_no_signal(tmp_path, env):
    script = tmp_path / "pipeline.py"
    script.write_text(SCRIPT)
    flags = ["--local", "--run", "--engine", "process", "--plain"]

    subprocess.run(
        [sys.executable, str(script), *flags],
        env=env,
        check=True,
        timeout=120,
        stdout=subprocess.DEVNULL,
        preexec_fn=in_background,
    )

    printed = [path.read_text() for path in (tmp_path / "base").rglob("*-1.stdout")]
    (output,) = [text for text in printed if text.startswith("Sig")]  # not the image's log
    found = dict(line.split(":\t") for line in output.splitlines())
    assert {name: int(mask, 16) for name, mask in found.items()} == {"SigIgn": 0, "SigBlk": 0}
