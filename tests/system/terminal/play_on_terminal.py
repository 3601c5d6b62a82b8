"""Run by `test_terminal`: watches a pipeline that the fake plays. Argument: how many nodes end."""

import sys
import threading
import time

from tests.fakes.pipelines import MemoryAgent
from tests.fakes.transport import InProcessTransport

from conducto_cli.view.session import watch_pipeline
from conducto_client import Client
from conducto_core.api.dispatch import Service
from support.cli_trees import CountingPipelines, record, wide_tree

fake = CountingPipelines()
fake.add("abc-def", wide_tree(30), record())


def play() -> None:
    for number in range(int(sys.argv[1])):
        fake.finish("abc-def", f"/all/n{number}")
        time.sleep(0.01)


threading.Thread(target=play, daemon=True).start()
transport = InProcessTransport(Service(fake, MemoryAgent(fake)))
sys.exit(watch_pipeline(lambda: Client(transport), "abc-def", plain=False))
