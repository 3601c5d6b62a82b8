"""Run by `test_keys_on_terminal`: shows a pipeline of the fake, then prints the requested actions.

Argument: ``error`` for a pipeline in which /build failed, ``running`` for one that continues.
"""

import sys

from tests.fakes.pipelines import MemoryAgent
from tests.fakes.transport import InProcessTransport

from conducto_cli.view.session import watch_pipeline
from conducto_client import Client
from conducto_core.api.dispatch import Service
from conducto_core.run.model.states import Cause, State
from support.cli_trees import CountingPipelines, record, small_tree

fake = CountingPipelines()
fake.add("abc-def", small_tree(), record())
fake.change("abc-def", "/build", State.RUNNING)
fake.write("abc-def", "/build", b"compiling\n")
fake.write("abc-def", "/build", b"no such file\n", stream="stderr")
if sys.argv[1] == "error":
    fake.change("abc-def", "/build", State.ERROR, cause=Cause.EXIT_CODE, exit_code=2)

transport = InProcessTransport(Service(fake, MemoryAgent(fake)))
code = watch_pipeline(lambda: Client(transport), "abc-def", plain=False, linger=True)
for _, request in fake.actions:
    sys.stdout.write(" ".join(["requested", request.action.value, *request.paths]) + "\n")
sys.exit(code)
