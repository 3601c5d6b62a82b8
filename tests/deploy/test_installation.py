"""The real ``conducto deploy`` at an AWS that is not ours, and pipelines there.

One installation lives through these tests in their order: it is deployed, used and destroyed.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from deploy.installation import Installation

ROOT = Path(__file__).resolve().parents[2]
HELLO = ROOT / "examples/hello/pipeline.py"


def test_deploy_logs_in(installation: Installation) -> None:
    doctor = installation.person.conducto("doctor", "--cloud")

    assert doctor.returncode == 0, doctor.stdout + doctor.stderr


def test_hello_runs(installation: Installation) -> None:
    run = installation.person.run(HELLO, side="cloud")

    assert run.code == 0, run.stdout + run.stderr
    assert set(run.states.values()) == {"done"}


def test_destroy_keeps_records(installation: Installation) -> None:
    said = installation.destroy()

    assert "conducto-main" in said
