"""The fixtures of cloud benchmarks: the emulator, started when it is first needed."""

import contextlib
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.registry import BenchError

if TYPE_CHECKING:
    from conducto_emulator.emulator import Emulator

ROOT = Path(__file__).parent.parent.parent
#: Base image of the agent, and image of the commands.
IMAGES = ("python:3.13-slim", "busybox:latest")
_MINUTE_SECONDS = 3.0
#: Seed of the emulated latencies of AWS (`conducto_emulator.faults.latency`).
_SEED = 1


class CloudLab:
    """Provides the emulator.

    Attributes:
        scratch: A directory that is deleted afterwards.
        histories: ``{run: {type of event: number}}`` of ended executions. The functions delete the
            state machines of a run and thereby AWS's history.
    """

    def __init__(self, scratch: Path) -> None:
        self.scratch = scratch
        self.histories: dict[str, Counter[str]] = {}
        self._emulator: Emulator | None = None

    @property
    def emulator(self) -> "Emulator":
        """The emulator.

        Raises:
            BenchError: There is no engine, or its images are not available.
        """
        if self._emulator is None:
            self._emulator = self._started()
        return self._emulator

    def describe(self) -> dict[str, object]:
        """Return the conditions of the results, in addition to the machine."""
        return {"image": IMAGES[1], "latency": "model of AWS, without the start of tasks"}

    def settle(self) -> None:
        """Do nothing: there is no background work between measurements."""

    def close(self) -> None:
        """Stop the emulator and remove its containers."""
        if self._emulator is not None:
            from conducto_emulator.moto import shim as moto_shim  # noqa: PLC0415

            moto_shim.ON_EXECUTION_ENDED.remove(self._note)
            self._emulator.close()

    def _note(self, execution: Any) -> None:
        events = execution.to_history_output()["events"]
        self.histories[execution.name] = Counter(event["type"] for event in events)

    def _started(self) -> "Emulator":
        # Slow to import, and most measurements do not need it.
        from conducto_emulator.emulator import Emulator  # noqa: PLC0415
        from conducto_emulator.faults.latency import Latency  # noqa: PLC0415
        from conducto_emulator.moto import shim as moto_shim  # noqa: PLC0415
        from conducto_emulator.moto.server import AddressError  # noqa: PLC0415
        from conducto_emulator.resources import Options  # noqa: PLC0415

        ensure_images()
        try:
            latency = Latency(_SEED, task_scale=0.0)
            folder = self.scratch / "emulator"
            made = Emulator(Options(folder, minute=_MINUTE_SECONDS, latency=latency))
        except AddressError as error:
            raise BenchError(str(error)) from error
        try:
            made.start()
            moto_shim.ON_EXECUTION_ENDED.append(self._note)
        except BaseException:
            made.close()
            raise
        return made


@contextlib.contextmanager
def open_cloud_lab() -> Iterator[CloudLab]:
    """Open the fixtures; on exit, all processes, containers and files are removed."""
    with tempfile.TemporaryDirectory(prefix="conducto-bench-") as scratch:
        lab = CloudLab(Path(scratch))
        before = dict(os.environ)
        try:
            yield lab
        finally:
            lab.close()
            os.environ.clear()
            os.environ.update(before)


def ensure_images() -> None:
    """Make the images of the benchmarks available.

    Raises:
        BenchError: There is no engine, or it cannot get them.
    """
    stand_ins = ROOT / "tests" / "support" / "stand_ins.py"
    done = subprocess.run(
        [sys.executable, str(stand_ins), *IMAGES], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise BenchError(f"the images {IMAGES} are not available: {done.stderr.strip()}")
