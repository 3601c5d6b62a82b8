"""Interpreters for the suite: Conducto's for many trees, moto's for a sample of them."""

from __future__ import annotations

import importlib
import os
import warnings
from typing import TYPE_CHECKING, Any

import pytest

from support.asl.interpreter import Interpreter

if TYPE_CHECKING:
    from collections.abc import Iterator


#: Games that CI plays.
QUICK = 200


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give ``seeds`` in batches, so that the list of tests stays short.

    The environment: ``CONFORMANCE_SEED`` replays one game, ``CONFORMANCE_GAMES`` is how many.
    Without them, the games after the first `QUICK` are too slow for CI.
    """
    if "seeds" not in metafunc.fixturenames:
        return
    seed = os.environ.get("CONFORMANCE_SEED")
    games = int(os.environ.get("CONFORMANCE_GAMES", "600"))
    batches = [[int(seed)]] if seed is not None else _batches(games)
    quick = QUICK if seed is None and "CONFORMANCE_GAMES" not in os.environ else None
    metafunc.parametrize("seeds", [_parameter(batch, quick) for batch in batches])


def _parameter(batch: list[int], quick: int | None) -> Any:
    late = quick is not None and batch[0] >= quick
    marks = [pytest.mark.long] if late else []
    return pytest.param(batch, id=f"{batch[0]}-{batch[-1]}", marks=marks)


def _batches(games: int, size: int = 100) -> list[list[int]]:
    return [list(range(n, min(n + size, games))) for n in range(0, games, size)]


@pytest.fixture
def interpreter() -> Interpreter:
    return Interpreter()


@pytest.fixture(scope="session")
def moto_engine() -> Iterator[Any]:
    """Step Functions as moto plays it, over HTTP, mended."""
    pytest.importorskip("moto", reason="pip install -e '.[cloud-test]'")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of libraries, while they are imported
        of_moto = importlib.import_module("support.asl.moto_engine")
    server = of_moto.start_server()
    engine = of_moto.MotoEngine()
    yield engine
    engine.close()
    server.stop()


@pytest.fixture
def moto(moto_engine: Any) -> Iterator[Any]:
    yield moto_engine
    moto_engine.clear()
