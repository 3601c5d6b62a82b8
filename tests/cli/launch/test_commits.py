"""The commits of a script that is launched."""

import subprocess
from pathlib import Path

from conducto_cli.launch.commits import commits_of
from conducto_core.run.launching import commit_of


def git(root: Path, *words: str) -> str:
    named = ("-c", "user.name=Ada", "-c", "user.email=ada@example.com")
    done = subprocess.run(
        ["git", *named, "-C", str(root), *words], check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def test_commits_of_a_clone_have_their_files_the_newest_first(tmp_path: Path) -> None:
    script = tmp_path / "pipeline.py"
    git(tmp_path, "init", "-q", "-b", "main")
    for text in ("one", "two"):
        script.write_text(text)
        git(tmp_path, "add", "-A")
        git(tmp_path, "commit", "-qm", f"Write {text}")
    script.write_text("three")

    found = commits_of(str(script))

    assert found is not None
    head = git(tmp_path, "rev-parse", "HEAD")
    assert (found["sha"], found["branch"], found["dirty"]) == (head, "main", True)
    assert [(each["subject"], each["files"]) for each in found["commits"]] == [
        ("Write two", ["pipeline.py"]),
        ("Write one", ["pipeline.py"]),
    ]
    record = commit_of({"commits": found})
    assert record is not None
    assert record.sha == head
    assert commit_of({"commits": {"sha": 3}}) is None


def test_script_outside_of_a_clone_has_none(tmp_path: Path) -> None:
    assert commits_of(str(tmp_path / "pipeline.py")) is None
    assert commits_of(None) is None
