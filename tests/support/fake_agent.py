"""An agent process whose pipelines are the shipped fake: a program for launcher tests.

``FAKE_AGENT_NOTES`` names a file in which it notes what happens; ``FAKE_AGENT_BUSY`` gives it a
pipeline that runs; ``FAKE_AGENT_BROKEN`` lets its runner fail.
"""

import contextlib
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

from conducto.model.api import NodeView
from conducto.model.states import NodeType, State
from conducto.service.port import Pipelines
from conducto.testing.pipelines import FakePipelines
from conducto_local.__main__ import main
from conducto_local.home import Home


def note(text: str) -> None:
    with Path(os.environ["FAKE_AGENT_NOTES"]).open("a") as file:
        file.write(f"{text}\n")


@contextlib.asynccontextmanager
async def open_runner(home: Home) -> AsyncIterator[Pipelines]:
    if "FAKE_AGENT_BROKEN" in os.environ:
        raise RuntimeError("the runner is broken")
    fake = FakePipelines()
    if "FAKE_AGENT_BUSY" in os.environ:
        fake.add("busy", [NodeView(path="/", type=NodeType.EXEC, state=State.RUNNING)])
    note(f"opened {os.getpid()} {home.profile}")
    try:
        yield fake
    finally:
        note(f"closed {os.getpid()}")


if __name__ == "__main__":
    sys.exit(main(open_runner=open_runner))
