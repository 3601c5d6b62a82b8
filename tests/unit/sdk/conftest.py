"""Each test sees nodes that know where they were made, however many others made before it."""

from __future__ import annotations

import pytest

from conducto.tree.node import _Located


@pytest.fixture(autouse=True)
def _locations_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the first 50,000 nodes of a process are located; a worker makes more in all."""
    monkeypatch.setattr(_Located, "count", 0)
