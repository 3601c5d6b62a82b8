"""Workflows, reduced and rewritten from those of known projects, and the scripts they become.

The others, without a name of a project, are about one property each.

After a change, ``python tests/cli/import_github/test_workflows.py`` writes the scripts again: read
them as a reviewer would.
"""

from __future__ import annotations

import runpy
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

import conducto as co
from conducto_cli.import_github.pipeline import translate
from conducto_core.run.model.states import State
from conducto_core.triggers.rules.config import parse_config
from support.local import Local, local_runner

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

HERE = Path(__file__).parent
NAMES = sorted(path.stem for path in (HERE / "workflows").glob("*.yml"))
#: These need only packages of Debian.
RUNS = [name for name in NAMES if name.startswith("runs_")]
#: The workflows that are not those of a project.
PROPERTIES = {"container_artifacts", "container_cache"} | {
    f"runs_{name}"
    for name in (
        *("always", "chains", "conditions", "crossed", "environment"),
        *("fan_in", "make_check", "matrix", "shells", "summary"),
    )
}
#: The repository that they check.
FILES = {
    "README.md": "Usage\n",
    "VERSION": "1\n",
    "Makefile": "all clean test cover units distcheck c90:\n\t@echo $@ $(CFLAGS)\n"
    "broken:\n\t@false\n",
    "bench/Makefile": "test:\n\t@echo benchmark\n",
    "autogen.sh": "#!/bin/sh\necho generated >aclocal.m4\n",
    "configure": '#!/bin/sh\necho "configured $*"\n',
    "runtest": '#!/bin/sh\n[ "$1" != failing ] || exit 1\necho "ok $*"\n',
    "src/configure": 'echo "PREFIX=${1#--prefix=}" >config.mk\n',
    "src/app.py": "print('app')\n",
    "tests/test_app.py": "import unittest\n\n\nclass TestApp(unittest.TestCase):\n"
    "    def test_it(self):\n        assert True\n",
}


def translated(name: str) -> str:
    """Return the script of a workflow, and the list of parts without a translation."""
    file = HERE / "workflows" / f"{name}.yml"
    found = translate([(file.name, file.read_text())], "pipeline.py")
    listed = "".join(f"{file}:{line}: {text}\n" for file, line, text in found.problems)
    return f"{found.script}\n# --- not translated ---\n{listed}"


def expected(name: str) -> Path:
    return HERE / "expected" / f"{name}.txt"


def script_of(name: str) -> str:
    return translated(name).partition("\n# --- not translated ---\n")[0]


def tree_of(name: str, folder: Path) -> Any:
    """Return the tree of a translated workflow in a repository."""
    for path, text in FILES.items():
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_text(text)
        if text.startswith("#!"):
            (folder / path).chmod(0o755)
    subprocess.run(["git", "init", "-q", folder], check=True)
    script = folder / "pipeline.py"
    script.write_text(script_of(name))
    functions = runpy.run_path(str(script), run_name="pipeline")
    main = script.read_text().rpartition("default=")[2].rstrip(")\n")
    return functions[main]()


def test_there_are_twenty_projects_and_half_of_them_run() -> None:
    projects = set(NAMES) - PROPERTIES
    assert len(projects) >= 20
    assert len(projects & set(RUNS)) >= 10


@pytest.mark.parametrize("name", NAMES)
def test_workflow_becomes_the_expected_script(name: str) -> None:
    assert translated(name) == expected(name).read_text()


@pytest.mark.parametrize("name", NAMES)
def test_script_is_formatted(name: str) -> None:
    """Formatters leave it as it is; only a comment or a command may be longer than a line."""
    ruff = [Path(sys.executable).with_name("ruff"), "format", "--isolated", "--diff", "-"]
    script = script_of(name)
    formatted = subprocess.run(ruff, input=script, capture_output=True, text=True, check=False)

    assert (formatted.returncode, formatted.stdout) == (0, "")


@pytest.mark.parametrize("name", [name for name in NAMES if "co.Service" not in script_of(name)])
def test_script_makes_a_tree(name: str, tmp_path: Path) -> None:
    assert tree_of(name, tmp_path).pretty()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def local(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Local]:
    async with local_runner(tmp_path_factory.mktemp("home"), "process") as runner:
        yield runner


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("name", RUNS)
async def test_script_runs(local: Local, name: str, tmp_path: Path) -> None:
    run = await local.run(tree_of(name, tmp_path))

    wrong = {
        path: await run.output(path, "stderr")
        for path, view in (await run.nodes()).items()
        if view.state is not State.DONE and view.type.value == "Exec" and not view.skipped
    }
    assert wrong == {}
    assert (await run.summary()).state is State.DONE


@pytest.mark.asyncio(loop_scope="module")
async def test_commands_print_the_same_as_on_a_runner(local: Local, tmp_path: Path) -> None:
    found = {}
    for name in (
        "runs_shells",
        "runs_crossed",
        "runs_make_check",
        "runs_environment",
        "runs_summary",
    ):
        (tmp_path / name).mkdir()
        run = await local.run(tree_of(name, tmp_path / name))
        for path, view in (await run.nodes()).items():
            if view.type.value == "Exec":
                found[path] = (await run.output(path)).decode()

    assert found["/scripts/Pipes - and lists"] == "a\n"
    assert found["/scripts/Python"] == '{"sum": 6}\n'
    assert found["/scripts/echo"] == 'a "quoted" word and \\d\n'
    assert found["/pack/3.12, wheel/test"] == "wheel 3.12 wheel-3.12\n"
    assert found["/pack/3.12, wheel/echo"] == "the label is wheel-3.12\n"
    assert found["/summary/import-tool"] == "tool it's 1\n"
    assert found["/check/Check"] == "1\n"
    assert found["/check/Look around"] == "app.py\nconfig.mk\nconfigure\nprogram\n"
    assert found["/show/test 2"] == 'it\'s "so"\n'
    assert found["/show/echo 3"] == 'it\'s Environment at fastx of "fast"\n'
    assert found["/show/true"] == "Linux fast\n"
    assert found["/show/echo 2"] == "workflow_dispatch of  on Linux\n"


@pytest.mark.asyncio(loop_scope="module")
async def test_values_of_an_event_cannot_become_commands(local: Local, tmp_path: Path) -> None:
    tree_of("runs_environment", tmp_path)
    functions = runpy.run_path(str(tmp_path / "pipeline.py"), run_name="pipeline")

    run = await local.run(functions["environment"](title='"; echo evil; "', user="$(id)"))

    assert await run.output("/show/echo") == b'"; echo evil; " by $(id)\n'


@pytest.mark.parametrize("name", NAMES)
def test_sections_of_the_script_are_valid(name: str) -> None:
    text = script_of(name).partition(".conducto.cfg:\n")[2].partition('\n"""\n')[0]
    parse_config(textwrap.dedent(text))


def test_pull_request_of_a_fork_cannot_choose_the_branch_of_a_condition() -> None:
    text = script_of("runs_conditions")

    assert "--event=push --branch={branch}\n" in text
    assert "command = python pipeline.py --event=pull_request\n" in text


def test_conditions_choose_the_nodes_of_an_event(tmp_path: Path) -> None:
    tree_of("runs_conditions", tmp_path)
    make = runpy.run_path(str(tmp_path / "pipeline.py"), run_name="pipeline")["conditions"]

    def paths(**event: Any) -> set[str]:
        return {str(node) for node in make(**event).stream() if isinstance(node, co.Exec)}

    group = "/publish, sync and note/"
    common = {"/test/echo", f"{group}note"}
    assert paths() == common
    assert paths(branch="main", event="push") == common | {"/test/Only on main", f"{group}sync"}
    assert paths(branch="x", level="high") == common | {"/test/Nightly"}
    assert paths(tag="v1", dry_run=False) == common | {f"{group}publish"}


if __name__ == "__main__":
    for each in NAMES:
        expected(each).write_text(translated(each))
