"""Where files live, who may get at them, and that names cannot lead elsewhere."""

import os
import stat
from pathlib import Path

import pytest

from conducto_local.agent.state_dir import StateDir, StateDirError, open_state_dir


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    base = tmp_path / "base"
    monkeypatch.setenv("CONDUCTO_BASE_DIR", str(base))
    monkeypatch.delenv("CONDUCTO_PROFILE", raising=False)
    return base


def mode(directory: Path) -> int:
    return stat.S_IMODE(directory.stat().st_mode)


def test_the_base_directory_is_the_one_named_in_the_environment(base: Path) -> None:
    assert open_state_dir("mine") == StateDir(base, "mine")


def test_without_one_it_is_in_the_persons_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CONDUCTO_BASE_DIR", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))

    assert open_state_dir("mine").base == tmp_path / ".conducto"


def test_the_profile_is_the_one_named_in_the_environment(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONDUCTO_PROFILE", "theirs")

    assert open_state_dir().profile == "theirs"


def test_the_profile_is_else_the_default_of_the_configuration(base: Path) -> None:
    base.mkdir()
    (base / "config").write_text("[general]\ndefault = 1a2b3c4d\n")

    assert open_state_dir().profile == "1a2b3c4d"


def test_there_is_a_profile_without_any_configuration(base: Path) -> None:
    home = open_state_dir()

    assert home.root.is_dir()
    assert home.root.parent == base


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "/etc", "a\0b"])
def test_a_profile_is_a_plain_name(base: Path, name: str) -> None:
    with pytest.raises(ValueError, match="profile"):
        open_state_dir(name)


@pytest.mark.parametrize("name", ["", ".", "..", "../other", "/etc", "a\0b"])
def test_an_id_cannot_lead_out_of_the_directory_of_pipelines(base: Path, name: str) -> None:
    home = open_state_dir()

    with pytest.raises(ValueError, match="pipeline id"):
        home.pipeline(name)


def test_directories_are_where_the_data_tools_look_for_them(base: Path) -> None:
    home = StateDir(base, "p")

    assert home.user_data == base / "p" / "data"
    assert home.pipeline("abc").data == base / "p" / "pipelines" / "abc" / "data"
    assert home.pipeline("abc").logs == base / "p" / "pipelines" / "abc" / "logs"
    assert home.store.parent == home.agent == base / "p" / "agent"


def test_reading_creates_only_the_profile(base: Path) -> None:
    home = open_state_dir("p")
    home.pipeline("abc")

    assert list(home.root.iterdir()) == []


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_data_is_open_to_every_uid_and_all_else_closed(base: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        home = open_state_dir("p")
        pipeline = home.make_pipeline("abc")
    finally:
        os.umask(before)

    assert {mode(home.user_data), mode(pipeline.data)} == {0o777}
    closed = [base, home.root, home.agent, home.pipelines, pipeline.root, pipeline.logs]
    assert {mode(directory) for directory in closed} == {0o700}


def test_a_profile_that_others_could_enter_is_closed(base: Path) -> None:
    (base / "p").mkdir(parents=True)
    (base / "p").chmod(0o755)

    home = open_state_dir("p")

    assert mode(home.root) == 0o700


def test_existing_base_directory_is_not_changed(base: Path) -> None:
    base.mkdir()
    base.chmod(0o755)

    open_state_dir("p")

    assert mode(base) == 0o755


def test_recreating_directories_keeps_their_content(base: Path) -> None:
    home = open_state_dir("p")
    (home.make_pipeline("abc").data / "model").write_text("weights")

    home.make_pipeline("abc")

    assert (home.pipeline("abc").data / "model").read_text() == "weights"


def test_a_directory_that_cannot_be_made_is_named_with_the_remedy(base: Path) -> None:
    base.write_text("a file in the way")

    with pytest.raises(StateDirError, match=r"base: cannot be created .*Set CONDUCTO_BASE_DIR"):
        open_state_dir("p")


def remove(home: StateDir, pipeline_id: str) -> bool:
    home.discard_pipeline(pipeline_id)
    return all(home.erase(path) for path in home.discarded())


def test_a_removed_pipeline_leaves_its_neighbours(base: Path) -> None:
    home = open_state_dir("p")
    home.make_pipeline("abc")
    home.make_pipeline("other")

    removed = remove(home, "abc")

    assert removed
    assert [each.name for each in home.pipelines.iterdir()] == ["other"]


def test_discarded_pipeline_is_hidden_before_it_is_erased(base: Path) -> None:
    home = open_state_dir("p")
    home.make_pipeline("abc")

    home.discard_pipeline("abc")

    assert not home.pipeline("abc").root.exists()
    assert len(home.discarded()) == 1


def test_removing_follows_no_link_out_of_the_pipeline(base: Path, tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    home = open_state_dir("p")
    (home.make_pipeline("abc").data / "link").symlink_to(tmp_path / "precious")

    remove(home, "abc")

    assert (tmp_path / "precious").is_dir()


def test_removing_missing_directory_is_not_an_error(base: Path) -> None:
    assert remove(open_state_dir("p"), "never")
