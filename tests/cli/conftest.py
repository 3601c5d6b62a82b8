"""A fake agent for the command line, without a network."""

from collections.abc import Callable, Iterator

import pytest
from tests.fakes.pipelines import MemoryAgent
from tests.fakes.transport import InProcessTransport

from conducto_cli.main import main
from conducto_client import Client
from conducto_core.api.dispatch import Service
from support.cli_trees import CountingPipelines, record, small_tree


@pytest.fixture
def fake() -> CountingPipelines:
    """Pipelines in memory; one is there: ``abc-def`` with `small_tree`."""
    pipelines = CountingPipelines()
    pipelines.add("abc-def", small_tree(), record())
    return pipelines


@pytest.fixture
def open_client(fake: CountingPipelines) -> Iterator[Callable[[], Client]]:
    """Makes clients of the fake."""
    with InProcessTransport(Service(fake, MemoryAgent(fake))) as transport:
        yield lambda: Client(transport)


@pytest.fixture
def conducto(open_client: Callable[[], Client]) -> Callable[..., int]:
    """Runs a command line against the fake; returns its exit code."""
    return lambda *words: main(words, lambda _profile: open_client)
