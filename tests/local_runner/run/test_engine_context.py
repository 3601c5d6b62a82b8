"""An engine is opened on first use, and the result is recorded."""

import os
from pathlib import Path

import pytest
from tests.fakes.engine import FakeEngine

from conducto_local.agent.files import AgentFiles
from conducto_local.agent.state_dir import StateDir
from conducto_local.engine.factory import NullImageBuilder, open_engines
from conducto_local.engine.port import EngineError
from conducto_local.run.context import EngineContext


@pytest.fixture
def home(tmp_path: Path) -> StateDir:
    made = StateDir(tmp_path / "home", "test")
    made.make()
    return made


async def test_failed_opening_is_recorded_until_one_succeeds() -> None:
    engine, noted = FakeEngine(gone="not started"), list[bool]()
    engine_context = EngineContext(engine, {}, NullImageBuilder, noted.append)

    with pytest.raises(EngineError):
        await engine_context.open()
    engine.gone = None
    await engine_context.open()

    assert noted == [True, False]


async def test_an_engine_that_cannot_be_opened_is_noted_for_the_next_launch(home: StateDir) -> None:
    engine_contexts = open_engines(home, {"DOCKER_HOST": f"unix://{home.root}/nothing.sock"})

    with pytest.raises(EngineError):
        await engine_contexts["docker"].open()
    await engine_contexts["docker"].engine.close()

    assert AgentFiles(home.agent).has_engine_failed(os.getpid())
    assert not AgentFiles(home.agent).has_engine_failed(os.getpid() + 1)
