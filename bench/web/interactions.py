"""Interactions with a page: at two sizes, live, on a slow network, and over hundreds of pages."""

import json
import statistics
import time
from functools import partial
from typing import Any

from bench.web.lab import WebLab
from bench.web.pages import WATCH_FRAMES, batches_of, open_group, summary_of, tree_of
from conducto_core.run.model.requests import Action, ControlRequest
from conducto_core.run.model.states import State

_MB = 1e6
#: Batches of a pipeline of 10,000 Execs that ends within ten seconds.
_LIVE_GROUPS = 10
_LIVE_EXECS = 1000
_EVENTS = 20
#: A slow network: milliseconds of each request, and bytes per second.
_LATENCY_MS = 400
_BYTES_PER_SECOND = 50_000
#: Changes of the page; the first ones load every part and fill the caches.
_CHANGES = 500
_WARM = 100
#: Acts; resolves after the first frame with the result is drawn, with the milliseconds.
_UNTIL_DRAWN = """async () => {
  const drawn = () => new Promise((done) => requestAnimationFrame(() => setTimeout(done, 0)));
  const started = performance.now();
  ACT;
  while (!(READY)) {
    if (performance.now() > started + 20000) throw new Error("not reached");
    await drawn();
  }
  await drawn();
  return performance.now() - started;
}"""
#: Sets a field like a person who types.
_TYPE = """
  const field = document.querySelector('[aria-label="Search paths and commands"]');
  Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, 'value').set.call(field, %r);
  field.dispatchEvent(new Event('input', { bubbles: true }));
"""
_GO = "history.pushState(null, '', %r); dispatchEvent(new PopStateEvent('popstate'));"
_HAS = "document.querySelector(%r) !== null"
_GROUP = "[data-row='/group001']"
_NODE = "[data-row='/group001/node0003']"


def empty_page(lab: WebLab) -> dict[str, float]:
    """Go to a page without content and back, and watch the frames of three seconds."""
    with lab.page() as (page, address):
        page.goto(f"{address}/settings")
        page.wait_for_selector("h1")
        page.evaluate(WATCH_FRAMES)
        times = []
        for _ in range(5):
            times.append(_timed(page, _GO % "/nowhere", _HAS % ".EmptyState-empty"))
            _timed(page, _GO % "/settings", _HAS % ".SettingsPage-card")
        page.wait_for_timeout(3000)
        return {
            "go_ms": statistics.median(times),
            "longest_frame_ms": page.evaluate("window.longest"),
        }


def interactions_1000(lab: WebLab) -> dict[str, float]:
    """Use the page of a pipeline of 1,000 Execs."""
    return _interactions(lab, lab.pipeline("1000", lambda: tree_of(10, 100), run=False))


def interactions_100000(lab: WebLab) -> dict[str, float]:
    """Use the page of a pipeline of 100,000 Execs."""
    return _interactions(lab, lab.pipeline("100000", lambda: tree_of(100, 1000), run=False))


def _interactions(lab: WebLab, pipeline_id: str) -> dict[str, float]:
    here = f"/p/{pipeline_id}"
    with lab.page() as (page, address):
        page.goto(address + here)
        page.wait_for_selector(_GROUP)
        page.wait_for_load_state("networkidle")
        return {
            "open_group_ms": _timed(page, _dispatch(_GROUP, "dblclick"), _HAS % _NODE),
            "select_ms": _timed(page, _dispatch(_NODE, "click"), _heading("node0003")),
            "search_ms": _timed(page, _TYPE % "node0099", _HAS % "[role=listbox] [role=option]"),
            "overview_ms": _timed(page, _GO % here, _HAS % ".Overview-headline"),
            "output_ms": _timed(
                page, _GO % f"{here}?node=%2F&tab=output", _HAS % "[role=log], .EmptyState-empty"
            ),
            "timeline_ms": _timed(
                page, _GO % f"{here}/timeline", _HAS % ".Chart-canvas, .EmptyState-empty"
            ),
        }


def _dispatch(selector: str, event: str) -> str:
    return (
        f"document.querySelector({selector!r})"
        f".dispatchEvent(new MouseEvent({event!r}, {{ bubbles: true }}))"
    )


def _heading(text: str) -> str:
    return f"document.querySelector('.NodeHeader-head')?.textContent.includes({text!r})"


def _timed(page: Any, act: str, ready: str) -> float:
    """Act; return the milliseconds until the result is drawn."""
    found: float = page.evaluate(_UNTIL_DRAWN.replace("ACT", act).replace("READY", ready))
    return found


def live(lab: WebLab) -> dict[str, float]:
    """Send all changes of 10,000 Execs within ten seconds."""
    tree = partial(tree_of, _LIVE_GROUPS, _LIVE_EXECS)
    pipeline_id = lab.pipeline("10000", tree, run=False)
    moves = [
        (f"/group{group:03}/node{number:04}", state)
        for group in range(_LIVE_GROUPS)
        for number in range(_LIVE_EXECS)
        for state in ("running", "done")
    ]
    with lab.page() as (page, address):
        socket = open_group(page, f"{address}/p/{pipeline_id}")
        batches = batches_of(summary_of(lab, pipeline_id), _LIVE_EXECS, moves, size=200)
        page.evaluate(WATCH_FRAMES)
        for batch in batches:
            socket.send(batch)
            page.wait_for_timeout(100)
        return {"longest_frame_ms": page.evaluate("window.longest")}


#: Records the time of the frame in which the text of a row changes.
_WATCH_ROW = """(selector) => {
  window.changed = [];
  const shown = () => document.querySelector(selector).outerHTML;
  let text = shown();
  const look = () => {
    const now = shown();
    if (now !== text) window.changed.push(Date.now());
    text = now;
    requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
}"""


def event_to_pixel(lab: WebLab) -> dict[str, float]:
    """Skip and unskip a command through the API, and see it on the page."""
    pipeline_id = lab.pipeline("1000", lambda: tree_of(10, 100), run=False)
    with lab.page() as (page, address):
        page.goto(f"{address}/p/{pipeline_id}")
        page.wait_for_selector(_GROUP)
        page.locator(_GROUP).dblclick()
        page.wait_for_selector(_NODE)
        page.wait_for_load_state("networkidle")
        page.evaluate(_WATCH_ROW, _NODE)
        times = []
        for number in range(_EVENTS):
            action = Action.SKIP if number % 2 == 0 else Action.UNSKIP
            order = ControlRequest(action=action, paths=("/group001/node0003",))
            sent = time.time()
            lab.agent.client.control(pipeline_id, order)
            page.wait_for_function("count => window.changed.length > count", arg=number)
            times.append(page.evaluate("window.changed.at(-1)") - 1000 * sent)
        return {"median_ms": statistics.median(times)}


def slow_network(lab: WebLab) -> dict[str, float]:
    """Open a failed pipeline with an empty cache on a slow network."""
    tree = partial(tree_of, 10, 100, failing=1)
    pipeline_id = lab.pipeline("failed", tree, run=True, state=State.ERROR)
    with lab.page() as (page, address):
        network = page.context.new_cdp_session(page)
        network.send("Network.enable")
        network.send(
            "Network.emulateNetworkConditions",
            {
                "offline": False,
                "latency": _LATENCY_MS,
                "downloadThroughput": _BYTES_PER_SECOND,
                "uploadThroughput": _BYTES_PER_SECOND,
            },
        )
        started = time.perf_counter()
        page.goto(f"{address}/p/{pipeline_id}", wait_until="commit")
        page.wait_for_selector(".Reasons-lines")
        return {"reason_s": time.perf_counter() - started}


def page_changes(lab: WebLab) -> dict[str, float]:
    """Change the page 500 times."""
    tree = partial(tree_of, 10, 100, failing=1)
    failed = lab.pipeline("failed", tree, run=True, state=State.ERROR)
    views = [
        *("/", "/activity", f"/p/{failed}", f"/p/{failed}?node=/group001/node0000"),
        *(f"/p/{failed}/{part}" for part in ("timeline", "images", "data")),
        *("/schedules", "/secrets", f"/p/{failed}?node=%2F&tab=output"),
    ]
    with lab.page() as (page, address):
        page.goto(address)
        heap = page.context.new_cdp_session(page)
        sizes = {}
        for number in range(_CHANGES + 1):
            if number in (_WARM, _CHANGES):
                sizes[number] = _retained(page, heap)
            page.evaluate(_GO % views[number % len(views)])
            # Without a handle of an element, which would keep its whole page in memory.
            page.locator("main :is(h1, h2, [role=treeitem])").first.wait_for(state="attached")
        before, after = sizes[_WARM], sizes[_CHANGES]
        return {
            "growth_mb": (after["objects"] - before["objects"]) / _MB,
            "heap_mb": after["JSHeapUsedSize"] / _MB,
            "nodes": after["Nodes"] - before["Nodes"],
            "listeners": after["JSEventListeners"] - before["JSEventListeners"],
        }


def _retained(page: Any, heap: Any) -> dict[str, float]:
    """Return the memory that is used after a collection on an empty page of the app."""
    page.evaluate(_GO % "/settings")
    page.locator(".SettingsPage-card").first.wait_for()
    page.wait_for_timeout(500)
    heap.send("Performance.enable")
    for _ in range(3):
        heap.send("HeapProfiler.collectGarbage")
    metrics = heap.send("Performance.getMetrics")["metrics"]
    return {one["name"]: one["value"] for one in metrics} | {"objects": _object_bytes(heap)}


#: Kinds of a heap snapshot that are not objects of the page. V8 compiles code again that is used
#: often, so that its code grows for minutes (0.6 MB in 400 changes of the page).
_NOT_OBJECTS = ("code", "native", "hidden", "object shape", "synthetic")


def _object_bytes(heap: Any) -> int:
    """Return the size of all objects, arrays, strings and closures of a page."""
    chunks: list[str] = []
    heap.on("HeapProfiler.addHeapSnapshotChunk", lambda event: chunks.append(event["chunk"]))
    heap.send("HeapProfiler.takeHeapSnapshot")
    snapshot = json.loads("".join(chunks))
    meta, nodes = snapshot["snapshot"]["meta"], snapshot["nodes"]
    fields, kinds = meta["node_fields"], meta["node_types"][0]
    kind, size = fields.index("type"), fields.index("self_size")
    return sum(
        nodes[at + size]
        for at in range(0, len(nodes), len(fields))
        if kinds[nodes[at + kind]] not in _NOT_OBJECTS
    )
