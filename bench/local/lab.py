"""The fixtures of local benchmarks: a directory, a profile, an agent, and the engine."""

import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bench.local.agents import Agent
from bench.local.engine_api import AREA, LABEL, EngineApi
from bench.registry import BenchError
from conducto_local.agent.state_dir import StateDir

ROOT = Path(__file__).parent.parent.parent
#: Default image of pipelines, and image of the baselines.
IMAGE = f"python:{sys.version_info.major}.{sys.version_info.minor}-slim"
#: Number of Execs with one CPU that run at once, and of jobs for the baselines.
SLOTS = os.cpu_count() or 1


class LocalLab:
    """Provides the agent, and the engine for the baselines.

    Attributes:
        scratch: A directory that is deleted afterwards.
        profile: Name of the agents' profile, unique to this run.
    """

    def __init__(self, scratch: Path) -> None:
        self.scratch = scratch
        self.api = EngineApi()
        self.profile = f"bench-{os.getpid()}"
        self._agent: Agent | None = None
        self._agents = 0

    @property
    def agent(self) -> Agent:
        """The agent of the current group of measurements, with open engine and default image."""
        if self._agent is None:
            self._agent = self.new_agent()
            self._agent.warm_up()
        return self._agent

    def new_agent(self) -> Agent:
        """Start an agent with an empty store; the caller stops it."""
        self._agents += 1
        return Agent(StateDir(self.scratch / f"home-{self._agents}", self.profile))

    def describe(self) -> dict[str, object]:
        """Return the conditions of the results, in addition to the machine."""
        engine = self.api.call("GET", "/version")["Version"]
        return {"engine": engine, "image": IMAGE, "slots": SLOTS}

    def settle(self) -> None:
        """Stop the agent, so that removing its idle containers does not disturb other groups."""
        if self._agent is not None:
            agent, self._agent = self._agent, None
            agent.stop()

    def close(self) -> None:
        """Remove all resources from the engine."""
        self.settle()
        for label in (f"com.conducto.profile={self.profile}", f"{LABEL}={AREA}"):
            self.api.remove_labelled(label)
        self.api.close()


@contextlib.contextmanager
def open_local_lab() -> Iterator[LocalLab]:
    """Open the fixtures; on exit, all processes, containers, images and files are removed.

    Raises:
        BenchError: There is no engine, or the base image is not available.
    """
    _ensure_image()
    with tempfile.TemporaryDirectory(prefix="conducto-bench-") as scratch:
        lab = LocalLab(Path(scratch))
        before = dict(os.environ)
        os.environ["CONDUCTO_BASE_DIR"] = scratch
        os.environ["CONDUCTO_PROFILE"] = lab.profile
        try:
            yield lab
        finally:
            os.environ.clear()
            os.environ.update(before)
            lab.close()


def _ensure_image() -> None:
    stand_ins = ROOT / "tests" / "support" / "stand_ins.py"
    done = subprocess.run(
        [sys.executable, str(stand_ins), IMAGE], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise BenchError(f"the image {IMAGE} is not available: {done.stderr.strip()}")
