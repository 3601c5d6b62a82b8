"""The documentation holds: it is complete, its links lead somewhere, its scripts work."""

import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from conducto.script import flags
from conducto.tree.parameters import NAMES
from conducto_cli.app.parser import build_parser
from conducto_core.command.environment import ExecutionContext, command_env
from conducto_core.run.model.states import Cause, State
from conducto_core.run.rules.outcomes import RETRIES

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])
HAND_WRITTEN = "\n".join(page.read_text() for page in PAGES if page.parent != DOCS / "reference")
#: Parameters that describe a node and do not change its execution.
_LABELS = {"name", "file", "line", "doc", "title", "tags", "callback_data", "pipeline_reservation"}
_FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def _name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def _without_code(text: str) -> str:
    return _FENCE.sub("", text)


def _links() -> Iterator[tuple[Path, str]]:
    for page in PAGES:
        for target in _LINK.findall(_without_code(page.read_text())):
            if "://" not in target:
                yield page, target


def _anchors(page: Path) -> set[str]:
    """Return the anchors that a page's headings have where it is read."""
    headings = re.findall(r"^#+ (.*)$", _without_code(page.read_text()), re.MULTILINE)
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {heading.replace(" ", "-") for heading in plain}


def _scripts() -> Iterator[tuple[Path, int, str]]:
    for page in PAGES:
        for number, (indent, language, body) in enumerate(_FENCE.findall(page.read_text())):
            if language == "python":
                yield page, number, re.sub(f"^{indent}", "", body, flags=re.MULTILINE)


SCRIPTS = list(_scripts())
SCRIPT_IDS = [f"{_name(page)}-{number}" for page, number, _ in SCRIPTS]


def _run(script: Path) -> "subprocess.CompletedProcess[str]":
    """Run a script; a part of one, which does not call co.main, is imported."""
    is_whole = "co.main(" in script.read_text()
    own = {"CONDUCTO_BASE_DIR": str(script.parent / "home"), "NO_COLOR": "1"}
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("CONDUCTO", "__RUN"))}
    return subprocess.run(
        [sys.executable, *([script.name] if is_whole else ["-c", f"import {script.stem}"])],
        cwd=script.parent,
        env={**kept, **own, "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )


def test_reference_equals_the_generated_one() -> None:
    check = subprocess.run(
        [sys.executable, DOCS / "generate.py", "--check"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert check.stderr == ""
    assert check.returncode == 0


@pytest.mark.parametrize(
    ("page", "target"), [pytest.param(p, t, id=f"{_name(p)}->{t}") for p, t in _links()]
)
def test_every_link_has_a_target(page: Path, target: str) -> None:
    file, _, anchor = target.partition("#")
    there = page if not file else (page.parent / file).resolve()

    assert there.exists()
    assert not anchor or anchor in _anchors(there / "README.md" if there.is_dir() else there)


@pytest.mark.parametrize(("page", "number", "text"), SCRIPTS, ids=SCRIPT_IDS)
def test_a_script_of_the_docs_works(page: Path, number: int, text: str, tmp_path: Path) -> None:
    script = tmp_path / "pipeline.py"
    script.write_text(text)
    if "copy_repo=True" in text:
        subprocess.run(["git", "init", "-q", tmp_path], check=True)

    done = _run(script)

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(("/\n", "/   ")) == ("co.main(" in text)


def _command_lines() -> Iterator[tuple[Path, str]]:
    """Yield the commands of the blocks other than scripts, without comments and pipes."""
    for page in PAGES:
        for _, language, body in _FENCE.findall(page.read_text()):
            for line in body.splitlines() if language != "python" else ():
                command = line.partition("  #")[0].partition(" | ")[0].partition(" > ")[0]
                if command.startswith("conducto "):
                    yield page, command.strip()


@pytest.mark.parametrize(
    ("page", "command"), [pytest.param(p, c, id=f"{_name(p)}: {c}") for p, c in _command_lines()]
)
def test_a_command_of_the_docs_is_understood(page: Path, command: str) -> None:
    words = shlex.split(command.replace("STAGE", "prod"))[1:]

    try:
        build_parser().parse_args(words)
    except SystemExit as end:
        assert end.code == 0, page  # noqa: PT017 (of --version)


@pytest.mark.parametrize("page", [ROOT / "README.md", DOCS / "getting-started.md"], ids=_name)
def test_documented_tree_equals_the_output_of_its_script(page: Path, tmp_path: Path) -> None:
    script = tmp_path / "pipeline.py"
    script.write_text(next(text for other, _, text in SCRIPTS if other == page))

    assert _run(script).stdout in page.read_text()


def test_every_page_is_in_the_table_of_contents() -> None:
    contents = (DOCS / "README.md").read_text()

    for page in DOCS.rglob("*.md"):
        assert page.name == "README.md" or f"({page.relative_to(DOCS)})" in contents


@pytest.mark.parametrize("state", State)
def test_a_state_is_explained(state: State) -> None:
    assert f"\n| {state.value} | " in (DOCS / "concepts/pipelines-and-states.md").read_text()


@pytest.mark.parametrize("cause", Cause)
def test_a_cause_of_failure_is_explained(cause: Cause) -> None:
    assert f"\n| `{cause.value}` | " in (DOCS / "concepts/pipelines-and-states.md").read_text()


@pytest.mark.parametrize("name", sorted(RETRIES))
def test_a_callback_that_decides_is_shown_in_use_or_explained(name: str) -> None:
    text = (DOCS / "concepts/time-limits-and-retries.md").read_text()
    reference = (DOCS / "reference/callbacks.md").read_text()

    assert re.search(rf"\b{name}\b", text + reference)


@pytest.mark.parametrize(
    "variable", command_env({}, ExecutionContext("", ""), path="/", attempt=1, path_map={})
)
def test_a_variable_that_commands_find_is_explained(variable: str) -> None:
    assert f"`{variable}`" in (DOCS / "concepts/environment-and-secrets.md").read_text()


@pytest.mark.parametrize("parameter", sorted(NAMES - _LABELS))
def test_execution_parameters_are_explained_by_a_concept(parameter: str) -> None:
    assert re.search(rf"`[^`\n]*\b{parameter}\b", HAND_WRITTEN)


def test_every_command_is_mentioned_outside_of_the_reference() -> None:
    verbs = next(a.choices for a in build_parser()._actions if a.dest == "verb")
    assert verbs is not None

    missing = [verb for verb in verbs if not re.search(rf"conducto [\w ]*\b{verb}\b", HAND_WRITTEN)]

    assert missing == []


def test_every_flag_of_a_script_is_in_the_reference() -> None:
    text = (DOCS / "reference/cli.md").read_text()

    assert [name for name in flags.NAMES if not re.search(rf"`{name}[` ]", text)] == []


def test_every_console_script_is_in_the_reference() -> None:
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    text = (DOCS / "reference/cli.md").read_text()

    assert [name for name in scripts if name not in text] == []
