"""A pipeline's page: how soon it is usable, what it costs, and how it keeps up."""

import gzip
import json
import time
from functools import partial
from typing import Any

import conducto as co
from bench.web.lab import WebLab
from conducto.model.states import State
from conducto_local.server.web import WEB_ROOT

_MB = 1e6
_KB = 1e3
#: A burst: batches as the agent sends them, 10 a second, and how many there are.
_CHANGES = 500
_BATCHES = 30
_LOG_MB = 100

_QUIET_MS = 600
_SCROLL = """async () => {
  const box = document.querySelector(SELECTOR), gaps = [];
  let last = performance.now();
  for (let step = 0; step < 90; step += 1) {
    box.scrollTop += BY;
    await new Promise(requestAnimationFrame);
    const now = performance.now();
    gaps.push(now - last);
    last = now;
  }
  return gaps.reduce((sum, gap) => sum + gap, 0) / gaps.length;
}"""
_WATCH_FRAMES = """() => {
  window.longest = 0;
  let last = performance.now();
  const tick = (now) => {
    window.longest = Math.max(window.longest, now - last);
    last = now;
    requestAnimationFrame(tick);
  };
  requestAnimationFrame(tick);
}"""


def _tree(groups: int, children: int, *, failing: int = 0) -> co.Node:
    """Return groups of Execs; of each group the first so many print something and fail."""
    root = co.Parallel()
    with root:
        for group in range(groups):
            with co.Parallel(name=f"group{group:03}"):
                for number in range(children):
                    fails = number < failing
                    co.Exec("echo broken >&2; false" if fails else "true", name=f"node{number:04}")
    return root


def cold_load_1000(lab: WebLab) -> dict[str, float]:
    """Open a pipeline of 1,000 Execs for the first time."""
    return _cold_load(lab, lab.pipeline("1000", lambda: _tree(10, 100), run=False))


def cold_load_100000(lab: WebLab) -> dict[str, float]:
    """Open one of 100,000."""
    return _cold_load(lab, lab.pipeline("100000", lambda: _tree(100, 1000), run=False))


def failed_load(lab: WebLab) -> dict[str, float]:
    """Open one of 1,000 of which ten failed: what failed is in view, with what it printed."""
    tree = partial(_tree, 10, 100, failing=1)
    pipeline_id = lab.pipeline("failed", tree, run=True, state=State.ERROR)
    with lab.page() as (page, address):
        asked = _requests_of(page)
        begun = time.perf_counter()
        page.goto(f"{address}/p/{pipeline_id}", wait_until="commit")
        page.wait_for_selector(".failure-tail")
        usable = time.perf_counter() - begun
        page.wait_for_timeout(_QUIET_MS)
        return {"usable_s": usable, "requests": len(asked)}


def _requests_of(page: Any) -> list[Any]:
    """Return a list that every request of a page joins."""
    asked: list[Any] = []
    page.on("request", lambda request: asked.append(request))  # noqa: PLW0108  it is marked
    return asked


def _cold_load(lab: WebLab, pipeline_id: str) -> dict[str, float]:
    with lab.page() as (page, address):
        asked = _requests_of(page)
        begun = time.perf_counter()
        page.goto(f"{address}/p/{pipeline_id}", wait_until="commit")
        page.wait_for_selector(".trow:nth-child(3)")
        usable = time.perf_counter() - begun
        page.wait_for_timeout(_QUIET_MS)
        requests, scripts = len(asked), {one.url for one in asked if one.url.endswith(".js")}
        page.locator(".trow").nth(1).dblclick()  # open a group: rows enough to scroll
        page.wait_for_selector(".trow:nth-child(30)")
        frame = page.evaluate(_SCROLL.replace("SELECTOR", "'.tree-scroll'").replace("BY", "90"))
        page.evaluate("gc()")
        return {
            "usable_s": usable,
            "requests": requests,
            "script_kb": sum(_compressed(url.removeprefix(address)) for url in scripts) / _KB,
            "elements": page.evaluate("document.querySelectorAll('*').length"),
            "heap_mb": page.evaluate("performance.memory.usedJSHeapSize") / _MB,
            "scroll_frame_ms": frame,
        }


def _compressed(path: str) -> int:
    return len(gzip.compress((WEB_ROOT / path.lstrip("/")).read_bytes()))


def burst(lab: WebLab) -> dict[str, float]:
    """Give the page 5,000 changes a second, beside what the agent says."""
    pipeline_id = lab.pipeline("100000", lambda: _tree(100, 1000), run=False)
    with lab.page() as (page, address):
        sockets: list[Any] = []
        # The page's socket ends here: it hears what we make up.
        page.route_web_socket("**/events*", lambda socket: sockets.append(socket))  # noqa: PLW0108
        page.goto(f"{address}/p/{pipeline_id}")
        page.wait_for_selector(".trow:nth-child(3)")
        page.locator(".trow").nth(1).dblclick()
        page.wait_for_selector(".trow:nth-child(30)")
        page.wait_for_timeout(_QUIET_MS)
        summary = lab.agent.client.get(pipeline_id)
        page.evaluate(_WATCH_FRAMES)
        for number in range(_BATCHES):
            sockets[0].send(_batch(json.loads(summary.model_dump_json()), number))
            page.wait_for_timeout(100)
        sent = time.perf_counter()
        done = f"{_BATCHES * _CHANGES:,} done"
        page.wait_for_function(
            "words => document.querySelector('.phead-facts').textContent.includes(words)", arg=done
        )
        visible = time.perf_counter() - sent
        longest = page.evaluate("window.longest")
        return {"longest_frame_ms": longest, "visible_ms": visible * 1000}


def _batch(summary: dict[str, Any], number: int) -> str:
    first = number * _CHANGES
    done = first + _CHANGES
    seq = summary["seq"] + done
    counts = {**summary["counts"], "done": done, "pending": summary["counts"]["pending"] - done}
    changes = [
        {
            "seq": summary["seq"] + place + 1,
            "time": 1.0,
            "path": f"/group{place // 1000:03}/node{place % 1000:04}",
            "type": "Exec",
            "state": "done",
            "skipped": False,
            "cause": None,
            "warning": False,
            "attempt": 1,
            "exit_code": 0,
        }
        for place in range(first, done)
    ]
    groups = {f"/group{place:03}": {**counts, "done": 500, "pending": 500} for place in range(15)}
    pipeline = {**summary, "counts": counts, "seq": seq, "settled": False}
    return json.dumps(
        {"changes": changes, "counts": {"/": counts, **groups}, "images": [], "pipeline": pipeline}
    )


def large_log(lab: WebLab) -> dict[str, float]:
    """Open an output of 100 MB at its end, and scroll it."""
    command = f"yes 'a line of an output that is long enough' | head -c {_LOG_MB * 1_000_000}"
    pipeline_id = lab.pipeline("log", lambda: co.Exec(command), run=True)
    with lab.page() as (page, address):
        begun = time.perf_counter()
        page.goto(f"{address}/p/{pipeline_id}?node=/", wait_until="commit")
        page.wait_for_function(
            "() => document.querySelector('.log-lines')?.textContent.includes('a line')"
        )
        opened = time.perf_counter() - begun
        back = _SCROLL.replace("SELECTOR", "'.log-lines'").replace("BY", "-400")
        return {"open_s": opened, "scroll_frame_ms": page.evaluate(back)}
