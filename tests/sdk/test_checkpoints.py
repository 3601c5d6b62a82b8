"""The directory of a node for its checkpoints."""

from pathlib import Path

import pytest

import conducto as co
from conducto.data.location import NODE_DATA, ContextError
from conducto.wire import caching
from conducto_core.command.environment import ExecutionContext, command_env, node_folder

AROUND = ExecutionContext("abc-def", "")


def test_directory_is_created_and_the_same_for_all_attempts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(NODE_DATA, str(tmp_path / ".nodes" / "a"))

    Path(co.checkpoint_dir(), "step").write_text("7")

    assert Path(co.checkpoint_dir(), "step").read_text() == "7"


def test_code_outside_of_a_command_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(NODE_DATA, raising=False)

    with pytest.raises(ContextError, match="a checkpoint needs a node without cache="):
        co.checkpoint_dir()


def test_attempts_of_a_node_share_a_directory_in_the_data_of_the_pipeline() -> None:
    def directory(path: str, attempt: int, **more: bool) -> str | None:
        env = command_env({}, AROUND, path=path, attempt=attempt, path_map={}, **more)
        return env.get(NODE_DATA)

    assert caching.NODE_DATA == NODE_DATA
    assert directory("/a", 1) == f"/conducto/data/pipeline/{node_folder('/a')}"
    assert directory("/a", 2) == directory("/a", 1) != directory("/b", 1)
    assert directory("/a", 1, isolated=True) is None  # a cached command sees no data


def test_a_node_cannot_choose_the_directory_that_is_removed() -> None:
    env = command_env({NODE_DATA: "/"}, AROUND, path="/a", attempt=1, path_map={})

    assert env[NODE_DATA].startswith("/conducto/data/pipeline/.nodes/")
