"""Pictures of the examples: ``python docs/gallery.py [NAME ...]``, after ``make web``.

Each example runs in containers, and Chromium looks at its page. The pictures go to
``docs/images/gallery/``; look at them before they are committed.
"""

from __future__ import annotations

import io
import sys
import tempfile
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from support.browser import eventually, launched_person, running_browser, viewer_of  # noqa: E402
from support.stand_ins import ensure  # noqa: E402

GALLERY = Path(__file__).parent / "images" / "gallery"
VIEW = {"width": 1180, "height": 660}
SHOWN = (885, 495)
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
            run = person.run(script, *ARGUMENTS.get(name, []))
            # Signed in after the launch: an agent without pipelines would begin the tour.
            with viewer_of(person, browser, viewport=VIEW, color_scheme="light") as viewer:
                page = viewer.open(f"/p/{run.id}")
                page.wait_for_load_state("networkidle")
                if name == "approval":  # wait until it asks
                    eventually(lambda: bool(person.read("approvals")), 120)
                    page.reload(wait_until="networkidle")
                taken = page.screenshot(animations="disabled")
            picture = Image.open(io.BytesIO(taken))
            shown = picture.convert("RGB").resize(SHOWN, Image.Resampling.LANCZOS)
            target = GALLERY / f"{name}.webp"
            shown.save(target, quality=80, method=6)
            sys.stdout.write(
                f"{target.name}: exit {run.code}, {target.stat().st_size // 1000} kB\n"
            )


if __name__ == "__main__":
    main(sys.argv[1:])
