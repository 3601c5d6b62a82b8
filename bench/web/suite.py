"""The web benchmarks with their budgets."""

from bench.registry import Measurement, Metric, Ratio, Suite
from bench.web import interactions, pages
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

_INTERACTIONS = ("open_group", "select", "search", "overview", "output", "timeline")

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
        Measurement(
            "web.empty_page",
            "a change to a page without content, and its frames",
            interactions.empty_page,
            (Metric("go_ms", "ms"), Metric("longest_frame_ms", "ms")),
            group="interactions",
        ),
        Measurement(
            "web.interactions_1000",
            "from an action to its result, with 1,000 Execs",
            interactions.interactions_1000,
            tuple(Metric(f"{name}_ms", "ms") for name in _INTERACTIONS),
            group="interactions",
        ),
        Measurement(
            "web.interactions_100000",
            "the same with 100,000 Execs",
            interactions.interactions_100000,
            tuple(Metric(f"{name}_ms", "ms") for name in _INTERACTIONS),
            tuple(
                Ratio(f"{name}_ratio", f"{name}_ms", f"web.interactions_1000.{name}_ms", budget=3)
                for name in _INTERACTIONS
            ),
            group="interactions",
        ),
        Measurement(
            "web.live_10000",
            "the changes of 10,000 Execs within ten seconds, with a visible group",
            interactions.live,
            (Metric("longest_frame_ms", "ms", budget=50),),
            (
                Ratio(
                    "ratio_to_empty",
                    "longest_frame_ms",
                    "web.empty_page.longest_frame_ms",
                    budget=3,
                ),
            ),
            group="interactions",
        ),
        Measurement(
            "web.event_to_pixel",
            "from a request of a change to the frame that shows it",
            interactions.event_to_pixel,
            (Metric("median_ms", "ms", budget=150),),
        ),
        Measurement(
            "web.slow_network",
            "the reason of a failure with 400 ms and 50 kB/s, with an empty cache",
            interactions.slow_network,
            (Metric("reason_s", "s", budget=6),),
            repeats=2,
        ),
        Measurement(
            "web.page_changes",
            "objects after 500 changes of the page, in addition to those after 100",
            interactions.page_changes,
            (
                Metric("growth_mb", "MB", budget=1),
                Metric("heap_mb", "MB", budget=25),
                Metric("nodes", "", budget=500),
                Metric("listeners", "", budget=50),
            ),
            repeats=1,
        ),
    ),
    open_web_lab,
)
