"""What cloud measurements share: the emulator, started by the first that needs it."""

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
#: Of the agent, and of the commands.
IMAGES = ("python:3.13-slim", "busybox:latest")
_MINUTE_SECONDS = 3.0
#: Of the latencies that AWS's calls take here (`conducto_emulator.latency`).
_SEED = 1


class CloudLab:
    """The emulator, for those who need it.

    Attributes:
        scratch: A directory that goes at the end.
        histories: ``{run: {type of event: number}}`` of executions that have ended; the functions
            delete the state machines of a run, and with them what AWS knows of it.
    """

    def __init__(self, scratch: Path) -> None:
        self.scratch = scratch
        self.histories: dict[str, Counter[str]] = {}
        self._emulator: Emulator | None = None

    @property
    def emulator(self) -> "Emulator":
        """The whole cloud on this machine.

        Raises:
            BenchError: there is no engine, or its images cannot be had.
        """
        if self._emulator is None:
            self._emulator = self._started()
        return self._emulator

    def describe(self) -> dict[str, object]:
        """Return what the numbers depend on besides the machine."""
        return {"image": IMAGES[1], "latency": "model of AWS, without the start of tasks"}

    def settle(self) -> None:
        """Nothing goes on between measurements."""

    def close(self) -> None:
        """Stop the emulator; no container of it is left."""
        if self._emulator is not None:
            from conducto_emulator import moto_shim  # noqa: PLC0415

            moto_shim.ON_EXECUTION_ENDED.remove(self._note)
            self._emulator.close()

    def _note(self, execution: Any) -> None:
        events = execution.to_history_output()["events"]
        self.histories[execution.name] = Counter(event["type"] for event in events)

    def _started(self) -> "Emulator":
        # Slow to import, and most measurements do without.
        from conducto_emulator import moto_shim  # noqa: PLC0415
        from conducto_emulator.emulator import Emulator, Options  # noqa: PLC0415
        from conducto_emulator.latency import Latency  # noqa: PLC0415
        from conducto_emulator.moto_server import AddressError  # noqa: PLC0415

        _ensure_images()
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
    """Open the lab; at the end no process, container or file of it is left."""
    with tempfile.TemporaryDirectory(prefix="conducto-bench-") as scratch:
        lab = CloudLab(Path(scratch))
        before = dict(os.environ)
        try:
            yield lab
        finally:
            lab.close()
            os.environ.clear()
            os.environ.update(before)


def _ensure_images() -> None:
    stand_ins = ROOT / "tests" / "support" / "stand_ins.py"
    done = subprocess.run(
        [sys.executable, str(stand_ins), *IMAGES], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise BenchError(f"the images {IMAGES} cannot be had: {done.stderr.strip()}")
