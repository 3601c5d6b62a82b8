"""Run by `test_delete`: ``conducto delete`` over the fake; then prints the remaining pipelines."""

import sys

from tests.fakes.pipelines import MemoryAgent, MemoryPipelines
from tests.fakes.transport import InProcessTransport

from conducto_cli.main import main
from conducto_client import Client
from conducto_core.api.dispatch import Service
from support.cli_trees import record, view

fake = MemoryPipelines()
fake.add("abc-def", [view("/", "Serial", state="done")], record(title="Nightly"))
with InProcessTransport(Service(fake, MemoryAgent(fake))) as transport:
    code = main(["delete", "abc-def"], lambda _profile: lambda: Client(transport))
    with Client(transport) as client:
        sys.stdout.write(f"left: {[each.pipeline.id for each in client.list()]}\n")
sys.exit(code)
