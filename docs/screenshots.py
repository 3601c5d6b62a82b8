"""Pictures of the web app for the docs: ``python -m docs.screenshots``, after ``make web``.

An agent of its own runs a small pipeline as plain processes, and Chromium looks at it. The
pictures go to ``docs/images/``; look at them before they are committed.
"""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.web.lab import WebLab, open_web_lab

import conducto as co
from conducto.tree.launch_form import to_launch_form
from conducto_core.run.model.requests import LaunchRequest
from conducto_core.run.model.states import State

IMAGES = Path(__file__).parent / "images"
#: The docs are read in a narrow column: larger ones would be scaled down to nothing.
VIEW = {"width": 1180, "height": 660}
PHONE = {"width": 390, "height": 720}
#: Maximum number of bytes of a picture.
MAX_BYTES = 150_000
#: Whether earlier runs of the pipeline failed, the first one first.
EARLIER = (False, False, True, False, False, False, True, False)
#: Seconds until the pipeline must have settled.
TIMEOUT = 60.0


def release(*, broken: bool = True) -> co.Serial:
    """Return a pipeline; if it is ``broken``, one test fails."""
    root = co.Serial(cpu=0.1, mem=0.1, doc="Builds, tests and publishes the **shop**.")
    with root:
        with co.Parallel(name="build"):
            for part in ("api", "website", "worker"):
                co.Exec(f"echo building {part}; sleep 0.4", name=part)
        with co.Parallel(name="test"):
            for suite in ("accounts", "cart", "payment", "search"):
                fails = broken and suite == "payment"
                co.Exec(_suite(suite, fails=fails), name=suite, env={"SUITE": suite})
        co.Exec("echo publishing", name="publish", doc="When all tests pass.")
    return root


def _suite(name: str, *, fails: bool) -> str:
    """Return a command that prints like a test suite, with colours."""
    lines = [f"echo 'collected 4 tests of {name}'", "sleep 0.3"]
    lines += [f"printf 'test_{name}_{n} \\033[32mPASSED\\033[0m\\n'" for n in range(3)]
    if fails:
        lines += [
            "printf 'test_refund \\033[31mFAILED\\033[0m\\n\\n'",
            """printf '    def test_refund():\\n>       assert refund(12.5) == 12.5\\n'""",
            """printf '\\033[31mE       AssertionError: 12 == 12.5\\033[0m\\n\\n'""",
            "printf '\\033[31m1 failed\\033[0m, 3 passed\\n'",
            "exit 1",
        ]
    return "\n".join(lines)


@dataclass(frozen=True)
class Shot:
    """A picture.

    Attributes:
        path: Address in the app; ``{id}`` is the pipeline's id.
        ready: Selector of an element that must be visible first.
    """

    name: str
    path: str
    ready: str
    theme: str = "light"
    view: dict[str, int] | None = None


#: Visible when the output of the failed test is loaded.
FAILED = ".LogLines-lines :text('AssertionError')"
SHOTS = (
    Shot("pipelines", "/", ".PipelineRow-title"),
    Shot("pipeline", "/p/{id}?node=/test/payment", FAILED),
    Shot("pipeline-dark", "/p/{id}?node=/test/payment", FAILED, "dark"),
    Shot("timeline", "/p/{id}/timeline", ".Chart-canvas"),
    Shot("phone", "/p/{id}", ".Overview-headline h2", view=PHONE),
)


def main() -> None:
    """Take all pictures."""
    IMAGES.mkdir(exist_ok=True)
    with open_web_lab() as lab:
        _launch(lab, "Nightly", run=False)
        for broken in EARLIER:
            reached = State.ERROR if broken else State.DONE
            earlier = _launch(lab, "Shop release", broken=broken)
            _until(lab, earlier, lambda state, reached=reached: state is reached)
        pipeline = _launch(lab, "Shop release")
        _until(lab, pipeline, lambda state: state is State.ERROR)
        for shot in SHOTS:
            _take(lab, shot, pipeline)


def _launch(lab: WebLab, title: str, *, run: bool = True, broken: bool = True) -> str:
    fields = {
        "tree": to_launch_form(release(broken=broken), title=title),
        "title": title,
        "tags": ("shop",),
        "run": run,
        "engine": "process",
        "owner": "ada",
    }
    return lab.agent.client.launch(LaunchRequest.model_validate(fields)).pipeline.id


def _until(lab: WebLab, pipeline: str, reached: Callable[[State], bool]) -> None:
    end = time.monotonic() + TIMEOUT
    while True:
        summary = lab.agent.client.get(pipeline)
        if summary.settled and reached(summary.state):
            return
        if time.monotonic() > end:
            raise SystemExit(f"pipeline {pipeline} does not get as far as it should; see its log")
        time.sleep(0.1)


def _take(lab: WebLab, shot: Shot, pipeline: str) -> None:
    context, address = lab.signed_in(viewport=shot.view or VIEW, color_scheme=shot.theme)
    page = context.new_page()
    page.goto(f"{address}{shot.path.format(id=pipeline)}")
    page.wait_for_selector(shot.ready)
    page.wait_for_load_state("networkidle")
    target = IMAGES / f"{shot.name}.png"
    page.screenshot(path=str(target), animations="disabled")
    context.close()
    size = target.stat().st_size
    sys.stdout.write(f"{target.name}: {size // 1000} kB\n")
    if size > MAX_BYTES:
        raise SystemExit(f"{target}: larger than {MAX_BYTES // 1000} kB; make the view smaller")


if __name__ == "__main__":
    main()
