"""`co.git` and `co.integrations.git`, with real repositories."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from conducto import git
from conducto.integrations import git as hosts
from conducto.integrations.git import LogType
from conducto.tree.nodes import Exec, Parallel

if TYPE_CHECKING:
    from pathlib import Path


def run(directory: Path, *arguments: str) -> str:
    identity = {
        f"GIT_{role}_{part}": value
        for role in ("AUTHOR", "COMMITTER")
        for part, value in (("NAME", "A"), ("EMAIL", "a@b.org"), ("DATE", "2020-01-01T00:00:00Z"))
    }
    clean = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    result = subprocess.run(
        ["git", *arguments],
        cwd=directory,
        env={**os.environ, **identity, **clean},
        check=True,
        capture_output=True,
        text=True,
    )
    return result.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Branch main with base, m1; branch work, checked out, with base, w1, w2 <&>."""
    path = tmp_path / "my repo"
    path.mkdir()
    run(path, "init", "-q", "-b", "main")
    run(path, "commit", "-q", "--allow-empty", "-m", "base")
    run(path, "checkout", "-q", "-b", "work")
    for subject in ("w1", "w2 <&>"):
        run(path, "commit", "-q", "--allow-empty", "-m", subject)
    run(path, "checkout", "-q", "main")
    run(path, "commit", "-q", "--allow-empty", "-m", "m1")
    run(path, "checkout", "-q", "work")
    return path


def test_commits_are_counted_both_ways(repository: Path) -> None:
    assert hosts.get_num_commits("main", git_dir=str(repository)) == 2
    assert hosts.get_num_commits("work", "main", git_dir=str(repository)) == 1
    assert hosts.get_num_commits_behind_base("main", git_dir=str(repository)) == 1


def test_the_last_shared_commit_is_a_full_hash(repository: Path) -> None:
    shared = hosts.get_last_shared_commit("main", git_dir=str(repository))

    assert shared == run(repository, "rev-parse", "main~1")


def test_the_current_directory_is_the_default(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(repository)

    assert hosts.get_num_commits("main") == 2


def test_a_branch_of_the_remote_is_found(repository: Path, tmp_path: Path) -> None:
    run(tmp_path, "clone", "-q", str(repository), "clone")

    assert hosts.get_num_commits("main", git_dir=str(tmp_path / "clone")) == 2


@pytest.mark.parametrize(
    ("log_type", "form"),
    [
        (LogType.RAW, "{short} w2 <&>"),
        (LogType.MARKDOWN, "* [{short}](https://github.com/o/r/commit/{full}) w2 <&>"),
        (LogType.SLACK, "• <https://github.com/o/r/commit/{full}|{short}> w2 &lt;&amp;&gt;"),
    ],
)
def test_the_log_has_three_forms(
    log_type: LogType, form: str, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONDUCTO_GIT_URL", "git@github.com:o/r.git")

    log = hosts.get_log_diff("main", log_type=log_type, git_dir=str(repository))

    full = run(repository, "rev-parse", "work")
    short = run(repository, "rev-parse", "--short", "work")
    assert log.splitlines()[0] == form.format(short=short, full=full)
    assert len(log.splitlines()) == 2


def test_a_local_remote_gives_no_links(repository: Path) -> None:
    run(repository, "remote", "add", "origin", "/somewhere/else")

    log = hosts.get_log_diff("main", log_type=LogType.MARKDOWN, git_dir=str(repository))

    assert "](" not in log


def test_long_log_names_the_number_of_omitted_lines(repository: Path) -> None:
    log = hosts.get_log_diff("main", max_lines=1, git_dir=str(repository))

    assert log.splitlines()[1:] == ["… and 1 more"]


@pytest.mark.parametrize("branch", ["missing", "--all", ""])
def test_unknown_branch_is_reported(branch: str, repository: Path) -> None:
    with pytest.raises(ValueError, match=f"no branch or commit '{branch}' in the repository of"):
        hosts.get_num_commits(branch, git_dir=str(repository))


def test_directory_without_a_repository_is_reported(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not a git repository"):
        hosts.get_num_commits("main", git_dir=str(tmp_path))


def test_missing_directory_is_reported(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is not a directory"):
        hosts.get_num_commits("main", git_dir=str(tmp_path / "missing"))


def test_image_without_git_is_reported(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")

    with pytest.raises(ValueError, match=r"install_packages=\['git'\]"):
        hosts.get_num_commits("main", git_dir=str(repository))


ADDRESSES = [
    "https://github.com/o/r.git",
    "https://someone@github.com/o/r.git",
    "git@github.com:o/r.git",
    "ssh://git@github.com/o/r.git",
]


@pytest.mark.parametrize("address", ADDRESSES)
def test_credentials_go_in_where_asked(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONDUCTO_GITHUB_USE_SECRETS", "1")
    monkeypatch.setenv("GITHUB_USER", "me@home")
    monkeypatch.setenv("GITHUB_TOKEN", "a/b")

    assert hosts.clone_url(address) == "https://me%40home:a%2Fb@github.com/o/r.git"


@pytest.mark.parametrize("address", [*ADDRESSES, "/local/path", "https://bitbucket.org/o/r"])
def test_an_address_stays_without_being_asked(address: str) -> None:
    assert hosts.clone_url(address) == address


def test_credentials_of_one_host_do_not_go_to_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONDUCTO_GITHUB_USE_SECRETS", "1")
    monkeypatch.setenv("GITHUB_USER", "me")
    monkeypatch.setenv("GITHUB_TOKEN", "secret")

    for address in ("https://github.com.evil.org/o/r", "https://evil.org/github.com/o/r"):
        assert hosts.clone_url(address) == address


def test_missing_credentials_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONDUCTO_BITBUCKET_USE_SECRETS", "1")
    monkeypatch.setenv("BITBUCKET_USER", "me")

    with pytest.raises(ValueError, match="but not BITBUCKET_TOKEN"):
        hosts.clone_url("git@bitbucket.org:o/r.git")


@pytest.mark.parametrize("address", ADDRESSES)
def test_the_page_of_a_repository_holds_no_credentials(address: str) -> None:
    assert hosts.url(address) == "https://github.com/o/r"


@pytest.mark.parametrize("apply", [git.apply_status, git.apply_status_all])
def test_a_status_is_reported_for_a_git_event(apply, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONDUCTO_GIT_URL", "https://github.com/o/r")
    monkeypatch.setenv("CONDUCTO_GIT_SHA", "abc")
    heard = Listener()

    apply(heard)

    assert [made.to_literal() for made in heard.state_changes] == [
        [
            "github_status",
            {
                "url": "https://github.com/o/r",
                "sha": "abc",
                "inherited": True,
                "user_display": False,
            },
        ]
    ]


def test_without_a_git_event_no_status_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONDUCTO_GIT_URL", "https://github.com/o/r")
    heard = Listener()

    git.apply_status(heard)

    assert heard.state_changes == []


def test_a_real_node_takes_the_status(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONDUCTO_GIT_URL", "https://github.com/o/r")
    monkeypatch.setenv("CONDUCTO_GIT_SHA", "abc")
    root = Parallel()
    root["a"] = Exec("true")

    git.apply_status(root)

    [(event, literal)] = root.callback_literals()
    assert (event, literal[0]) == ("stateChange", "github_status")


class Listener:
    """As much of a node as a status needs."""

    def __init__(self) -> None:
        self.state_changes: list = []

    def on_state_change(self, made) -> None:
        self.state_changes.append(made)
