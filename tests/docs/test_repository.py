"""The files that GitHub reads are valid, and a release needs a tag that fits."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from conducto.version import __version__

ROOT = Path(__file__).parents[2]
CHECK = Path(sys.executable).with_name("check-jsonschema")
SCHEMAS = [
    ("vendor.github-workflows", ".github/workflows/*.yml"),
    ("vendor.github-issue-forms", ".github/ISSUE_TEMPLATE/[!c]*.yml"),
    ("vendor.github-issue-config", ".github/ISSUE_TEMPLATE/config.yml"),
]


@pytest.mark.parametrize(("schema", "files"), SCHEMAS)
def test_github_files_are_valid(schema: str, files: str) -> None:
    found = sorted(ROOT.glob(files))
    assert found
    check = [CHECK, "--builtin-schema", schema, *found]
    checked = subprocess.run(check, check=False, capture_output=True, text=True)

    assert checked.returncode == 0, checked.stdout


#: What a release reads before it builds anything.
RELEASED = (".ci/release", "pyproject.toml", "sdk/conducto/version.py", "CHANGELOG.md")


@pytest.mark.parametrize(
    ("tag", "section", "problem"),
    [
        ("v0.0.1", __version__, "release: the tag is v0.0.1, but the version in pyproject.toml is"),
        (f"v{__version__}", "0.9", "release: CHANGELOG.md has no section"),
    ],
)
def test_release_is_refused(tag: str, section: str, problem: str, tmp_path: Path) -> None:
    for name in RELEASED:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    changes = tmp_path / "CHANGELOG.md"
    changes.write_text(changes.read_text().replace(f"## [{__version__}]", f"## [{section}]"))
    release = subprocess.run(
        [tmp_path / ".ci/release", tag, tmp_path / "built"],
        check=False,
        capture_output=True,
        text=True,
    )

    assert release.returncode == 2
    assert release.stderr.startswith(problem)


def test_changelog_has_a_section_for_this_version() -> None:
    assert re.search(
        rf"^## \[{re.escape(__version__)}\] - \d{{4}}-\d\d-\d\d$",
        (ROOT / "CHANGELOG.md").read_text(),
        re.MULTILINE,
    )


def test_actions_are_pinned_by_commit_and_the_same_everywhere() -> None:
    files = [
        *ROOT.glob(".github/workflows/*.yml"),
        ROOT / "cli/conducto_cli/projects/init_command.py",
    ]
    used = [line for file in files for line in re.findall(r"uses: (\S+@\S+.*)", file.read_text())]
    pinned = {line.partition("@")[0]: line for line in used}

    assert [line for line in used if not re.fullmatch(r"\S+@[0-9a-f]{40}  # v[\d.]+", line)] == []
    assert {line for line in used if pinned[line.partition("@")[0]] != line} == set()


def test_web_app_of_a_release_links_to_the_site_of_a_variable() -> None:
    text = (ROOT / ".github/workflows/release.yml").read_text()

    assert "CONDUCTO_SITE_URL: ${{ vars.CONDUCTO_SITE_URL }}" in text
    assert "CONDUCTO_SITE_URL%/}/$version/" in (ROOT / ".ci/release").read_text()


def test_publishing_needs_no_stored_token() -> None:
    text = (ROOT / ".github/workflows/release.yml").read_text()

    assert "id-token: write" in text
    assert "secrets." not in text
