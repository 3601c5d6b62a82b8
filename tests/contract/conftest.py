"""The table, in memory and at AWS."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.fakes.cloud.memory import MemoryClients

from chalicelib.aws.dynamodb import DynamoTable
from support.cloud.aws import TABLE, aws

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chalicelib.aws.clients import Clients


@pytest.fixture(params=["fake", "aws"])
def any_clients(request: pytest.FixtureRequest) -> Iterator[Clients]:
    if request.param == "fake":
        yield MemoryClients()
        return
    with aws() as clients:
        yield clients


@pytest.fixture
def any_table(any_clients: Clients) -> DynamoTable:
    return DynamoTable(any_clients, TABLE)
