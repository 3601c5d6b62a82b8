"""`co.api.Config`: files that earlier versions wrote are understood, and written the same way."""

from __future__ import annotations

import stat
import threading
from typing import TYPE_CHECKING

import pytest

from conducto.api import Auth, Config, UserInputValidation, get_auth_headers
from conducto.api.config import current_profile

if TYPE_CHECKING:
    from pathlib import Path

OLD_GENERAL = """\
[general]
default = c6829a4b
show_app = True
show_shell = 0

[dev]
who = me

[config]
force_debug_info = yes
"""
OLD_PROFILE = """\
[general]
url = https://x.y
org_id = 3
email = a@b.c
token = aaa.bbb%%20%(c)s
host_id = 01234567

[shares]
mycode = ["/home/me/my code", "/other"]
bare = /just/a/path
"""


@pytest.fixture
def old(home: Path) -> Path:
    """A home that an earlier version left."""
    (home / "c6829a4b").mkdir(parents=True)
    (home / "config").write_text(OLD_GENERAL)
    (home / "c6829a4b" / "config").write_text(OLD_PROFILE)
    (home / "no-profile").mkdir()
    return home


def test_old_files_are_read(old: Path) -> None:
    config = Config()

    assert config.default_profile == "c6829a4b"
    assert config.get("general", "show_app") is True
    assert config.get("general", "show_shell") is False
    assert config.get("config", "force_debug_info") is True
    assert config.get_image_tag() == "me"
    assert list(config.profile_sections()) == ["c6829a4b"]
    assert config.get_profile_general("c6829a4b", "org_id") == "3"
    assert config.get_host_id() == "01234567"
    assert config.get_url(pretty=True) == "https://x.y"
    assert config.get_connect_url("abc-def") == "https://x.y/app/p/abc-def"


def test_percent_signs_have_no_meaning(old: Path) -> None:
    assert Config().get_token() == "aaa.bbb%%20%(c)s"


def test_shares_are_found_in_any_case(old: Path) -> None:
    config = Config()

    assert config.get_named_share_paths("c6829a4b", "MyCode") == ["/home/me/my code", "/other"]
    assert config.get_named_share_paths("c6829a4b", "bare") == ["/just/a/path"]
    assert config.get_named_share_paths("c6829a4b", "missing") == []


def test_a_share_is_registered_once(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(old)
    for _ in range(2):
        Config().register_named_share("c6829a4b", "MyCode", "sub")

    paths = Config().get_named_share_paths("c6829a4b", "mycode")

    assert paths == ["/home/me/my code", "/other", str(old / "sub")]
    assert Config().get_profile_general("c6829a4b", "url") == "https://x.y"


def test_empty_pipeline_needs_no_containers(home: Path) -> None:
    config = Config()

    assert current_profile() == "default"
    assert config.get("general", "default", "none") == "none"
    assert list(config.profile_sections()) == []
    assert config.get_token() is None
    assert config.get_named_share_mapping("default") == {}
    assert not home.exists()


def test_values_are_written_and_read_again(home: Path) -> None:
    Config().set("general", "show_app", False)
    Config().set("general", "note", "50% of ümläuts")

    assert Config().get("general", "show_app") is False
    assert Config().get("general", "note") == "50% of ümläuts"


def test_a_change_can_wait_to_be_written(home: Path) -> None:
    config = Config()
    config.set("general", "a", "1", write=False)

    assert Config().get("general", "a") is None

    config.write()
    assert Config().get("general", "a") is True


def test_deleting_the_last_value_deletes_its_section(old: Path) -> None:
    Config().delete("dev", "who")

    assert "[dev]" not in (old / "config").read_text()


def test_a_value_over_two_lines_is_refused(home: Path) -> None:
    with pytest.raises(ValueError, match="must be one line"):
        Config().set("general", "a", "1\n[evil]\nb = 2")


def test_a_broken_file_is_named(home: Path) -> None:
    home.mkdir()
    (home / "config").write_text("no section\n")

    with pytest.raises(ValueError, match=r"home base/config is not a valid configuration file"):
        Config()


def test_the_id_of_a_profile_follows_from_the_account() -> None:
    assert Config.get_profile_id("https://x.y", "3", "a@b.c") == "c6829a4b"


def test_a_profile_is_written_for_its_owner_only(home: Path) -> None:
    profile = Config().write_profile("https://x.y", "secret", org_id="3", email="a@b.c")

    path = home / profile / "config"
    assert profile == "c6829a4b"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert Config().get_token() == "secret"


def test_the_first_profile_is_the_default(home: Path) -> None:
    first = Config().write_profile("https://a", None, default=False)
    Config().write_profile("https://b", None, default=False)

    assert Config().default_profile == first


def test_writers_at_the_same_time_leave_a_whole_file(home: Path) -> None:
    def write(number: int) -> None:
        for _ in range(20):
            Config().set("general", "a", str(number))

    writers = [threading.Thread(target=write, args=(number,)) for number in range(2, 5)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()

    assert Config().get("general", "a") in {"2", "3", "4"}
    assert [path.name for path in home.iterdir()] == ["config"]


def test_deleted_profile_is_no_longer_the_default(old: Path) -> None:
    Config().delete_profile("c6829a4b")

    assert not (old / "c6829a4b").exists()
    assert Config().default_profile is None


@pytest.mark.parametrize("profile", ["missing", "no-profile", "../old"])
def test_directory_without_a_profile_is_not_deleted(profile: str, old: Path) -> None:
    with pytest.raises(ValueError, match="no profile"):
        Config().delete_profile(profile)

    assert (old / "no-profile").is_dir()


def test_profiles_can_be_given_their_right_names(old: Path) -> None:
    Config.rename_profile("c6829a4b", "odd")
    Config().set("general", "default", "odd")

    Config().cleanup_profile_names()

    assert Config().default_profile == "c6829a4b"
    assert list(Config().profile_sections()) == ["c6829a4b"]


def test_a_profile_does_not_take_the_place_of_another(old: Path) -> None:
    with pytest.raises(ValueError, match="exists already"):
        Config.rename_profile("c6829a4b", "no-profile")


def test_the_host_has_one_id(home: Path) -> None:
    assert Config().get_host_id() == Config().get_host_id()
    assert len(Config().get_host_id()) == 8


def test_the_environment_goes_first(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("URL", "TOKEN", "HOST_ID", "PROFILE"):
        monkeypatch.setenv(f"CONDUCTO_{name}", f"from-{name}")

    config = Config()

    assert config.get_url() == "from-URL"
    assert config.get_token() == "from-TOKEN"
    assert config.get_host_id() == "from-HOST_ID"
    assert current_profile() == "from-PROFILE"


@pytest.mark.parametrize(("where", "place"), [("worker_cloud", "CLOUD"), ("worker_local", "LOCAL")])
def test_the_place_is_known(where: str, place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONDUCTO_EXECUTION_ENV", where)

    assert Config().get_location() is Config.Location[place]


def test_a_script_that_asks_for_a_token_gets_the_known_one_or_none(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Scripts do so to read secrets, also when they only print their tree."""
    assert Config().get_token_from_shell() is None
    assert Auth().get_token_from_shell(force=True) is None

    monkeypatch.setenv("CONDUCTO_TOKEN", "abc")
    assert Auth().get_token_from_shell() == "abc"


def test_headers_carry_the_token(old: Path) -> None:
    assert get_auth_headers("abc")["Authorization"] == "bearer abc"


def test_headers_without_a_token_are_refused(home: Path) -> None:
    with pytest.raises(UserInputValidation, match="no token is known"):
        get_auth_headers()
