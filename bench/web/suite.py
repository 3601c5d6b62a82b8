"""The web benchmarks with their budgets."""

from bench.registry import Measurement, Metric, Suite
from bench.web import pages
from bench.web.lab import open_web_lab

_FRAME = Metric("scroll_frame_ms", "ms", budget=20)
_COSTS = (
    Metric("longest_task_ms", "ms", budget=100),
    Metric("largest_paint_s", "s", budget=0.6, stretch=0.4),
    Metric("requests", "", budget=12, stretch=8),
    Metric("script_kb", "kB", budget=120),
    Metric("elements", "", budget=2000, stretch=1200),
    Metric("heap_mb", "MB", budget=40, stretch=25),
    _FRAME,
)

WEB = Suite(
    "web",
    (
        Measurement(
            "web.cold_load_1000",
            "the page of a pipeline of 1,000 Execs, with an empty cache",
            pages.cold_load_1000,
            (Metric("usable_s", "s", budget=1.0, stretch=0.6), *_COSTS),
        ),
        Measurement(
            "web.failed_load",
            "the same with ten failures, until their output is visible",
            pages.failed_load,
            (Metric("usable_s", "s", budget=1.0, stretch=0.6), Metric("requests", "", budget=12)),
        ),
        Measurement(
            "web.cold_load_100000",
            "the page of a pipeline of 100,000 Execs, with an empty cache",
            pages.cold_load_100000,
            (Metric("usable_s", "s", budget=1.5, stretch=1.0), *_COSTS),
        ),
        Measurement(
            "web.burst",
            "5,000 changes per second for three seconds, with a visible group",
            pages.burst,
            (
                Metric("longest_frame_ms", "ms", budget=200),
                Metric("visible_ms", "ms", budget=500, stretch=200),
            ),
        ),
        Measurement(
            "web.scroll_burst",
            "scrolling a group of 100,000 Execs during 5,000 changes per second",
            pages.scroll_burst,
            (_FRAME,),
        ),
        Measurement(
            "web.large_log",
            "an output of 100 MB, opened at the end",
            pages.large_log,
            (Metric("open_s", "s", budget=1.5), _FRAME),
        ),
    ),
    open_web_lab,
)
