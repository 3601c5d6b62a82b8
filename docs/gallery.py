"""Pictures of the examples: ``python docs/gallery.py [NAME ...]``, after ``make web``.

Each example runs in containers, and Chromium looks at its page, and at some others. The pictures
go to ``docs/images/gallery/`` and ``docs/images/``; look at them before they are committed.
"""

from __future__ import annotations

import io
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from support.browser import agent_api, eventually, launched_person, running_browser, viewer_of  # noqa: E402
from support.stand_ins import ensure  # noqa: E402

if TYPE_CHECKING:
    from playwright.sync_api import Page

GALLERY = Path(__file__).parent / "images" / "gallery"
SETTLED_MS = 3000
VIEW = {"width": 1180, "height": 660}
SHOWN = (885, 495)
#: Pictures of pages for the docs: by example, with the address after the picture of it.
PAGES = {
    "parallel_tests": {"output": "/p/{id}?tab=output"},
    "approval": {"activity": "/activity"},
    "cached_map": {"reuse": "/p/{id}?node=%2F", "program": "/program?{program}"},
}
#: Times that an example runs before its pictures: a second run has outcomes from the cache.
RUNS = {"cached_map": 2}
#: Shows a failure; others end well. An approval would wait for a person.
ARGUMENTS = {
    "parallel_tests": ["--broken"],
    "approval": ["--detach"],
    "pipelines": ["--only", "core/triggers", "--shards", "3"],
}


def main(names: list[str]) -> None:
    """Take the pictures of all examples, or of some."""
    default = f"python:{sys.version_info.major}.{sys.version_info.minor}-slim"
    needed = ["python:3.11-slim", "python:3.12-slim", default, "postgres:16", "redis:7"]
    ensure(dict.fromkeys(needed))
    GALLERY.mkdir(exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as base,
        launched_person(Path(base)) as person,
        running_browser() as browser,
    ):
        # The pipeline of this project itself is on the page docs/own-ci.md.
        for script in [*sorted(ROOT.glob("examples/*/pipeline.py")), ROOT / "pipelines" / "ci.py"]:
            name = script.parent.name
            if names and name not in names:
                continue
            for _ in range(RUNS.get(name, 1)):
                run = person.run(script, *ARGUMENTS.get(name, []))
            # Signed in after the launch: an agent without pipelines would begin the tour.
            with viewer_of(person, browser, viewport=VIEW, color_scheme="light") as viewer:
                page = viewer.open(f"/p/{run.id}")
                page.wait_for_load_state("networkidle")
                if name == "approval":  # wait until it asks
                    eventually(lambda: bool(person.read("approvals")), 120)
                    page.reload(wait_until="networkidle")
                _save(page, GALLERY / f"{name}.webp")
                record = agent_api(person, f"/pipelines/{run.id}")["pipeline"]
                program = urlencode({key: record[key] for key in ("program", "function")})
                for picture, address in PAGES.get(name, {}).items():
                    page = viewer.open(address.format(id=run.id, program=program))
                    page.wait_for_timeout(SETTLED_MS)  # such pages never have an idle network
                    _save(page, GALLERY.parent / f"{picture}.webp")
            sys.stdout.write(f"{name}: exit {run.code}\n")


def _save(page: Page, target: Path) -> None:
    picture = Image.open(io.BytesIO(page.screenshot(animations="disabled")))
    shown = picture.convert("RGB").resize(SHOWN, Image.Resampling.LANCZOS)
    shown.save(target, quality=80, method=6)
    sys.stdout.write(f"{target.name}: {target.stat().st_size // 1000} kB\n")


if __name__ == "__main__":
    main(sys.argv[1:])
