"""Each test sees nodes that know where they were made, however many others made before it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import conducto as co

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def _every_node_is_located() -> Iterator[None]:
    """Otherwise only the first 50,000 nodes of a process are; a worker makes more in all."""
    co.Node.force_debug_info(True)
    yield
    co.Node.force_debug_info(False)
