"""Processes are killed, requests repeated and events lost, and yet every command ends once.

``python -m bench cloud --full --only soak`` plays half an hour.
"""

from __future__ import annotations

import pytest

from support.cloud.soak import Soak


@pytest.mark.parametrize("seed", range(2))
def test_every_command_ends_once_in_spite_of_killed_processes(seed: int) -> None:
    found = Soak(seed, faults=1.5).run(400)

    assert found.problems == []
    assert found.execs > 0
    assert found.claimed > 0
    assert found.faults["killed invocations"] > 0
    assert found.faults["lost responses"] > 0
