"""The page of a pipeline: load time, cost, and updates."""

import gzip
import json
import time
from collections.abc import Sequence
from functools import partial
from typing import Any

import conducto as co
from bench.web.lab import WebLab
from conducto_core.run.model.states import State
from conducto_web import app_folder

_MB = 1e6
_KB = 1e3
#: A burst of changes: changes per batch, and number of batches. The agent sends 10 per second.
_CHANGES = 500
_BATCHES = 30
#: One group with this many Execs, of which this many are queued and as many are running.
_FLAT = 100_000
_UNDER_WAY = 150
#: One Exec out of this many fails.
_FAILS = 100
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
#: The longest task and the largest contentful paint of a load, in ms.
_WATCH_LOAD = """
  window.load = { longest: 0, paint: 0 };
  new PerformanceObserver((list) => {
    for (const { duration } of list.getEntries())
      window.load.longest = Math.max(window.load.longest, duration);
  }).observe({ type: 'longtask', buffered: true });
  new PerformanceObserver((list) => {
    window.load.paint = list.getEntries().at(-1).startTime;
  }).observe({ type: 'largest-contentful-paint', buffered: true });
"""
WATCH_FRAMES = """() => {
  window.longest = 0;
  let last = performance.now();
  const tick = (now) => {
    window.longest = Math.max(window.longest, now - last);
    last = now;
    requestAnimationFrame(tick);
  };
  requestAnimationFrame(tick);
}"""


def tree_of(groups: int, children: int, *, failing: int = 0) -> co.Node:
    """Return groups of Execs; the first ``failing`` Execs of each print something and fail."""
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
    return _cold_load(lab, lab.pipeline("1000", lambda: tree_of(10, 100), run=False))


def cold_load_100000(lab: WebLab) -> dict[str, float]:
    """Open a pipeline of 100,000 Execs for the first time."""
    return _cold_load(lab, lab.pipeline("100000", lambda: tree_of(100, 1000), run=False))


def failed_load(lab: WebLab) -> dict[str, float]:
    """Open a pipeline of 1,000 Execs with ten failures, and wait for their output."""
    tree = partial(tree_of, 10, 100, failing=1)
    pipeline_id = lab.pipeline("failed", tree, run=True, state=State.ERROR)
    with lab.page() as (page, address):
        asked = _requests_of(page)
        started = time.perf_counter()
        page.goto(f"{address}/p/{pipeline_id}", wait_until="commit")
        page.wait_for_selector(".Reasons-lines")
        usable = time.perf_counter() - started
        page.wait_for_timeout(_QUIET_MS)
        return {"usable_s": usable, "requests": len(asked)}


def _requests_of(page: Any) -> list[Any]:
    """Return a list that every request of a page is added to."""
    asked: list[Any] = []
    page.on("request", lambda request: asked.append(request))  # noqa: PLW0108  Playwright marks it
    return asked


def _cold_load(lab: WebLab, pipeline_id: str) -> dict[str, float]:
    with lab.page() as (page, address):
        asked = _requests_of(page)
        page.add_init_script(_WATCH_LOAD)
        started = time.perf_counter()
        page.goto(f"{address}/p/{pipeline_id}", wait_until="commit")
        page.wait_for_selector("[data-row]:nth-child(2)")
        usable = time.perf_counter() - started
        page.wait_for_timeout(_QUIET_MS)
        load = page.evaluate("window.load")
        requests, scripts = len(asked), {one.url for one in asked if one.url.endswith(".js")}
        page.locator("[data-row]").nth(1).dblclick()  # open a group, to have enough rows to scroll
        page.wait_for_selector("[data-row]:nth-child(30)")
        frame = page.evaluate(_SCROLL.replace("SELECTOR", "'.tree-scroll'").replace("BY", "90"))
        page.evaluate("gc()")
        return {
            "usable_s": usable,
            "longest_task_ms": load["longest"],
            "largest_paint_s": load["paint"] / 1000,
            "requests": requests,
            "script_kb": sum(_compressed(url.removeprefix(address)) for url in scripts) / _KB,
            "elements": page.evaluate("document.querySelectorAll('*').length"),
            "heap_mb": page.evaluate("performance.memory.usedJSHeapSize") / _MB,
            "scroll_frame_ms": frame,
        }


def _compressed(path: str) -> int:
    return len(gzip.compress((app_folder() / path.lstrip("/")).read_bytes()))


def burst(lab: WebLab) -> dict[str, float]:
    """Send 5,000 changes per second to the page, in addition to the agent's."""
    pipeline_id = lab.pipeline("100000", lambda: tree_of(100, 1000), run=False)
    with lab.page() as (page, address):
        socket = open_group(page, f"{address}/p/{pipeline_id}")
        batches = batches_of(summary_of(lab, pipeline_id), 1000, _all_done())
        page.evaluate(WATCH_FRAMES)
        for batch in batches:
            socket.send(batch)
            page.wait_for_timeout(100)
        sent = time.perf_counter()
        done = f"{_BATCHES * _CHANGES:,} done"
        page.wait_for_function(
            "words => document.querySelector('.PipelineHead-head').textContent.includes(words)",
            arg=done,
        )
        visible = time.perf_counter() - sent
        longest = page.evaluate("window.longest")
        return {"longest_frame_ms": longest, "visible_ms": visible * 1000}


def scroll_burst(lab: WebLab) -> dict[str, float]:
    """Scroll a flat group during 5,000 changes per second of its Execs."""
    pipeline_id = lab.pipeline("flat", lambda: tree_of(1, _FLAT), run=False)
    with lab.page() as (page, address):
        socket = open_group(page, f"{address}/p/{pipeline_id}")
        batches = batches_of(summary_of(lab, pipeline_id), _FLAT, _coming_and_going())
        scroll = _SCROLL.replace("SELECTOR", "'.tree-scroll'").replace("BY", "90")
        page.evaluate(f"() => {{ window.frame = ({scroll})(); }}")
        for batch in batches:
            socket.send(batch)
            page.wait_for_timeout(100)
        return {"scroll_frame_ms": page.evaluate("window.frame")}


def open_group(page: Any, address: str) -> Any:
    """Open a pipeline and its first group; return the page's socket."""
    sockets: list[Any] = []
    # The page's socket ends here, so that the benchmark sends the changes.
    page.route_web_socket("**/events*", lambda socket: sockets.append(socket))  # noqa: PLW0108
    page.goto(address)
    page.wait_for_selector("[data-row]:nth-child(2)")
    page.locator("[data-row]").nth(1).dblclick()
    page.wait_for_selector("[data-row]:nth-child(30)")
    page.wait_for_timeout(_QUIET_MS)
    return sockets[0]


def summary_of(lab: WebLab, pipeline_id: str) -> dict[str, Any]:
    summary: dict[str, Any] = json.loads(lab.agent.client.get(pipeline_id).model_dump_json())
    return summary


def _all_done() -> list[tuple[str, str]]:
    places = range(_BATCHES * _CHANGES)
    return [(f"/group{place // 1000:03}/node{place % 1000:04}", "done") for place in places]


def _coming_and_going() -> list[tuple[str, str]]:
    """Return changes of a flat group: alternately one Exec is queued, one starts and one ends."""
    moves: list[tuple[str, str]] = []
    for turn in range(_BATCHES * _CHANGES):
        newest, step = divmod(turn, 3)
        place = (newest - step * _UNDER_WAY) % _FLAT
        ended = "error" if place % _FAILS == 0 else "done"
        moves.append((f"/group000/node{place:04}", ("queued", "running", ended)[step]))
    return moves


def batches_of(
    summary: dict[str, Any], children: int, moves: Sequence[tuple[str, str]], size: int = _CHANGES
) -> list[str]:
    """Return the agent's batches of ``size`` changes of groups of pending Execs."""
    seq = summary["seq"]
    states: dict[str, str] = {}
    counts = {"/": dict(summary["counts"])}
    batches = []
    for first in range(0, len(moves), size):
        changes, touched = [], {"/"}
        for path, state in moves[first : first + size]:
            seq += 1
            group = path.rpartition("/")[0]
            before = states.get(path, "pending")
            states[path] = state
            counts.setdefault(group, {**summary["counts"], "pending": children})
            touched.add(group)
            for above in ("/", group):
                counts[above][before] -= 1
                counts[above][state] += 1
            changes.append(_change(seq, path, state))
        told = {path: counts[path] for path in sorted(touched)}
        pipeline = {**summary, "counts": counts["/"], "seq": seq, "settled": False}
        batch = {
            "changes": changes,
            "counts": told,
            "times": {},
            "images": [],
            "pipeline": pipeline,
        }
        batches.append(json.dumps(batch))
    return batches


def _change(seq: int, path: str, state: str) -> dict[str, Any]:
    return {
        "seq": seq,
        "time": time.time(),
        "path": path,
        "type": "Exec",
        "state": state,
        "skipped": False,
        "cause": "exit_code" if state == "error" else None,
        "warning": False,
        "attempt": 1,
        "exit_code": {"done": 0, "error": 1}.get(state),
    }


def large_log(lab: WebLab) -> dict[str, float]:
    """Open the end of an output of 100 MB, and scroll it."""
    command = f"yes 'a line of an output that is long enough' | head -c {_LOG_MB * 1_000_000}"
    pipeline_id = lab.pipeline("log", lambda: co.Exec(command), run=True)
    with lab.page() as (page, address):
        started = time.perf_counter()
        page.goto(f"{address}/p/{pipeline_id}?node=/", wait_until="commit")
        page.wait_for_function(
            "() => document.querySelector('.LogLines-lines')?.textContent.includes('a line')"
        )
        opened = time.perf_counter() - started
        back = _SCROLL.replace("SELECTOR", "'.LogLines-lines'").replace("BY", "-400")
        return {"open_s": opened, "scroll_frame_ms": page.evaluate(back)}
