"""A new build of the app replaces the build that an agent serves."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

WEB = Path(__file__).parents[3] / "web"

pytestmark = pytest.mark.web


def publish(target: Path) -> subprocess.CompletedProcess[str]:
    node = shutil.which("node")
    assert node, "Node is missing; it builds the app"
    return subprocess.run(
        [node, "publish.mjs", str(target)], cwd=WEB, capture_output=True, text=True, check=False
    )


def test_a_build_leaves_its_own_files_and_no_other(tmp_path: Path) -> None:
    served = tmp_path / "served"
    (served / "assets").mkdir(parents=True)
    for name in ("index.html", "assets/old.js"):
        (served / name).write_text("old")

    done = publish(served)

    assert done.returncode == 0, done.stderr
    page = (served / "index.html").read_text()
    named = re.findall(r'(?:src|href)="/([^"]+)"', page)
    assert any(name.startswith("assets/") for name in named)
    assert all((served / name).is_file() for name in named)
    assert not (served / "assets" / "old.js").exists()
    assert not [one for one in served.rglob("*") if one.name.endswith(".new")]


def test_failed_publication_keeps_the_old_page(tmp_path: Path) -> None:
    served = tmp_path / "served"
    served.mkdir()
    (served / "index.html").write_text("old")
    (served / "assets").write_text("in the way of a directory")

    done = publish(served)

    assert done.returncode != 0
    assert (served / "index.html").read_text() == "old"
