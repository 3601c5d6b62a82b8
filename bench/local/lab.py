"""What local measurements share: a directory, a profile, an agent, the floors' engine."""

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
from conducto_local.state_dir import StateDir

ROOT = Path(__file__).parent.parent.parent
#: What a pipeline runs in that names no image, and what the floors run in.
IMAGE = f"python:{sys.version_info.major}.{sys.version_info.minor}-slim"
#: Execs of one CPU that run at once, and as many jobs for the floors.
SLOTS = os.cpu_count() or 1


class LocalLab:
    """The agent, and the engine for the floors.

    Attributes:
        scratch: A directory that goes at the end.
        profile: Name of the agents' profile, of this run only.
    """

    def __init__(self, scratch: Path) -> None:
        self.scratch = scratch
        self.api = EngineApi()
        self.profile = f"bench-{os.getpid()}"
        self._agent: Agent | None = None
        self._agents = 0

    @property
    def agent(self) -> Agent:
        """The agent of this group of measurements, warm: engine open, default image found."""
        if self._agent is None:
            self._agent = self.new_agent()
            self._agent.warm_up()
        return self._agent

    def new_agent(self) -> Agent:
        """Start an agent with an empty store; whoever asks stops it."""
        self._agents += 1
        return Agent(StateDir(self.scratch / f"home-{self._agents}", self.profile))

    def describe(self) -> dict[str, object]:
        """Return what the numbers depend on besides the machine."""
        engine = self.api.call("GET", "/version")["Version"]
        return {"engine": engine, "image": IMAGE, "slots": SLOTS}

    def settle(self) -> None:
        """Stop the agent: idle containers that leave later would cost other groups time."""
        if self._agent is not None:
            agent, self._agent = self._agent, None
            agent.stop()

    def close(self) -> None:
        """Remove everything that was made in the engine."""
        self.settle()
        for label in (f"com.conducto.profile={self.profile}", f"{LABEL}={AREA}"):
            self.api.remove_labelled(label)
        self.api.close()


@contextlib.contextmanager
def open_local_lab() -> Iterator[LocalLab]:
    """Open the lab; at the end no process, container, image or file of it is left.

    Raises:
        BenchError: there is no engine, or the base image cannot be had.
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
        raise BenchError(f"the image {IMAGE} cannot be had: {done.stderr.strip()}")
