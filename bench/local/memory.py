"""The memory of the agent, and its response time with large trees."""

import time

import conducto as co
from bench.local.agents import Agent
from bench.local.commands import flat, two_level
from bench.local.lab import LocalLab

Found = dict[str, float]
_PAGES = 20


def idle(lab: LocalLab) -> Found:
    """Measure an agent that has run one command and is idle."""
    return _in_new_agent(lab, co.Exec("true"))


def run_1000(lab: LocalLab) -> Found:
    """Measure an agent during and after a run of 1,000 Execs."""
    return _in_new_agent(lab, flat(1000))


def loaded_100000(lab: LocalLab) -> Found:
    """Measure an agent with 100,000 Execs that are not running, and the pages of their tree."""
    agent = lab.new_agent()
    try:
        started = time.perf_counter()
        pipeline = agent.launch(two_level(100, 1000), run=False)
        launched = time.perf_counter() - started
        pages = sorted(_page_ms(agent, pipeline, f"/g{g * 5:04}") for g in range(_PAGES))
        now, peak = agent.memory()
    finally:
        agent.stop()
    return {
        "megabytes": now,
        "peak_megabytes": peak,
        "launch_seconds": launched,
        "page_p95_ms": pages[int(0.95 * _PAGES) - 1],
    }


def _page_ms(agent: Agent, pipeline: str, root: str) -> float:
    started = time.perf_counter()
    agent.client.tree_page(pipeline, root=root)
    return 1000 * (time.perf_counter() - started)


def _in_new_agent(lab: LocalLab, root: co.Node) -> Found:
    agent = lab.new_agent()
    try:
        agent.run(root)
        now, peak = agent.memory()
    finally:
        agent.stop()
    return {"megabytes": now, "peak_megabytes": peak}
