"""The film of the docs: ``python docs/film.py``, after ``make web``. It needs a container engine.

A real pipeline fails. In the web app, a shell opens where it failed, an edit is tried there and
made in the user's file, and only the failed part runs again. Pictures of the page become an
animation, ``docs/images/film.webp``; look at it before you commit it.
"""

from __future__ import annotations

import io
import re
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image
from playwright.sync_api import expect

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from support.browser import eventually, launched_person, running_browser, viewer_of  # noqa: E402
from support.stand_ins import ensure  # noqa: E402

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from support.running import Person

FILM = Path(__file__).parent / "images" / "film.webp"
VIEW = {"width": 1180, "height": 660}
MAX_BYTES = 2_000_000
PIPELINE = """
import conducto as co

def shop() -> co.Serial:
    image = co.Image("python:3.11-slim", copy_dir=".")
    with co.Serial(image=image) as root:
        co.Exec("python -m compileall -q .", name="Build")
        with co.Parallel(name="Test"):
            for suite in ("accounts", "prices", "search"):
                co.Exec(f"python -m unittest -v test_{suite}", name=suite)
        co.Exec("echo published", name="Publish")
    return root

if __name__ == "__main__":
    co.main(default=shop)
"""
PRICES = "def total(price, amount):\n    return price + amount\n"
SUITE = """
import unittest

class {name}(unittest.TestCase):
    def test_{low}(self):
        {check}
"""
CAPTION = """text => {
    const bar = document.getElementById("caption") ?? document.body.appendChild(
        Object.assign(document.createElement("div"), {id: "caption"}));
    Object.assign(bar.style, {position: "fixed", right: "16px", bottom: "16px", zIndex: 99999,
        background: "#1f2937", color: "white", font: "600 20px sans-serif", padding: "8px 18px",
        borderRadius: "8px", boxShadow: "0 2px 10px #0006"});
    bar.textContent = text;
}"""


class Film:
    """Pictures of a page, with the milliseconds for which each is shown."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._frames: list[tuple[Image.Image, int]] = []
        self._caption = ""

    def caption(self, text: str) -> None:
        self._caption = text

    def shoot(self, milliseconds: int = 900) -> None:
        """Add a picture of the page as it is."""
        self._page.evaluate(CAPTION, self._caption)
        picture = Image.open(io.BytesIO(self._page.screenshot()))
        self._frames.append((picture.convert("RGB"), milliseconds))

    def type(self, text: str) -> None:
        """Type a line into the shell, and show that."""
        for start in range(0, len(text), 8):
            self._page.keyboard.type(text[start : start + 8])
            self.shoot(140)
        self._page.keyboard.press("Enter")

    def save(self, path: Path) -> int:
        """Write the animation; return its size."""
        first, *rest = [picture for picture, _ in self._frames]
        durations = [duration for _, duration in self._frames]
        first.save(
            path,
            save_all=True,
            append_images=rest,
            duration=durations,
            loop=0,
            quality=70,
            method=6,
        )
        return path.stat().st_size


def write_project(folder: Path) -> Path:
    """Write the pipeline and its code, whose prices are wrong; return the script."""
    folder.mkdir()
    (folder / "prices.py").write_text(PRICES)
    checks = {
        "accounts": "self.assertTrue(True)",
        "prices": "self.assertEqual(__import__('prices').total(250, 10), 2500)",
        "search": "self.assertIn('tea', ['tea', 'milk'])",
    }
    for low, check in checks.items():
        suite = SUITE.format(name=low.title(), low=low, check=check)
        (folder / f"test_{low}.py").write_text(suite)
    script = folder / "pipeline.py"
    script.write_text(PIPELINE)
    return script


def play(page: Page, film: Film, code: Path) -> None:
    """Fix the failed test in the page."""
    lines = page.locator(".xterm-rows")
    film.caption("1  A test fails")
    expect(page.get_by_text(re.compile("AssertionError")).first).to_be_visible()
    film.shoot(2600)
    film.caption("2  Open a shell where it failed")
    page.get_by_role("button", name="Debug", exact=True).click()
    film.shoot(1200)
    page.get_by_role("menuitem", name="Open shell").click()
    expect(lines).to_contain_text(re.compile(r"[#$]"))
    film.shoot()
    film.type("sh /conducto/cmd.sh 2>&1 | tail -n 4")
    expect(lines).to_contain_text("FAILED")
    film.shoot(1800)
    film.caption("3  Try an edit there")
    film.type("sed -i 's/price + amount/price * amount/' prices.py")
    film.type("sh /conducto/cmd.sh 2>&1 | tail -n 4")
    expect(lines).to_contain_text("OK")
    film.shoot(1800)
    film.type("exit")
    page.get_by_role("button", name="End shell").or_(
        page.get_by_role("button", name=re.compile("Close"))
    ).first.click()
    (code / "prices.py").write_text(PRICES.replace("+", "*"))
    film.caption("4  The same edit in your file: rerun only this part")
    page.get_by_role("button", name="Node actions").click()
    film.shoot(1000)
    page.get_by_role("menuitem", name="Rebuild and rerun").click()
    for _ in range(12):
        film.shoot(180)
        page.wait_for_timeout(120)


def is_done(person: Person, pipeline: str) -> bool:
    """Return whether the pipeline ended without an error."""
    return bool(person.read("show", pipeline)["nodes"][0]["state"] == "done")


def main() -> None:
    """Play and record it."""
    ensure(["python:3.11-slim"])
    with (
        tempfile.TemporaryDirectory() as base,
        tempfile.TemporaryDirectory() as scratch,
        launched_person(Path(base)) as person,
        running_browser() as browser,
    ):
        code = Path(scratch) / "shop"
        run = person.run(write_project(code))
        options = {"viewport": VIEW, "color_scheme": "light"}
        with viewer_of(person, browser, **options) as viewer:
            page = viewer.node(run.id, "/Test/prices")
            film = Film(page)
            play(page, film, code)
            eventually(lambda: is_done(person, run.id), 60)
            page.goto(f"{viewer.url}/p/{run.id}")
            page.wait_for_load_state("networkidle")
            film.caption("5  Green")
            film.shoot(3000)
    size = film.save(FILM)
    sys.stdout.write(f"{FILM.name}: {size // 1000} kB\n")
    if size > MAX_BYTES:
        raise SystemExit(f"{FILM}: larger than {MAX_BYTES // 1000} kB")


if __name__ == "__main__":
    main()
