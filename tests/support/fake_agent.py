"""An agent process with fake pipelines: a program for launcher tests.

It logs to the file in ``FAKE_AGENT_NOTES``; ``FAKE_AGENT_BUSY`` adds a running pipeline;
``FAKE_AGENT_BROKEN`` makes its runner fail.
"""

import contextlib
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

from tests.fakes.pipelines import MemoryPipelines

from conducto_core.api.pipelines import Pipelines
from conducto_core.run.model.requests import NodeView
from conducto_core.run.model.states import NodeType, State
from conducto_local.__main__ import main
from conducto_local.agent.state_dir import StateDir


def note(text: str) -> None:
    with Path(os.environ["FAKE_AGENT_NOTES"]).open("a") as file:
        file.write(f"{text}\n")


@contextlib.asynccontextmanager
async def open_runner(home: StateDir) -> AsyncIterator[Pipelines]:
    if "FAKE_AGENT_BROKEN" in os.environ:
        raise RuntimeError("the runner is broken")
    fake = MemoryPipelines()
    if "FAKE_AGENT_BUSY" in os.environ:
        fake.add("busy", [NodeView(path="/", type=NodeType.EXEC, state=State.RUNNING)])
    note(f"opened {os.getpid()} {home.profile}")
    try:
        yield fake
    finally:
        note(f"closed {os.getpid()}")


if __name__ == "__main__":
    sys.exit(main(open_runner=open_runner))
