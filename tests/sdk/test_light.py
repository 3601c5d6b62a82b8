"""The modules import everywhere, quickly: nothing but the standard library, on Python 3.8 too."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from support.old_python import find_python38

MODULES = [
    "conducto.api",
    "conducto.api.config",
    "conducto.api.calls",
    "conducto.api.secrets",
    "conducto.api.auth",
    "conducto.api.pipelines",
    "conducto.callback",
    "conducto.tools.data_tools",
    "conducto.tools.notebook",
    "conducto.tools.profile",
    "conducto.tools.slack",
    "conducto.data",
    "conducto.data.archive",
    "conducto.git",
    "conducto.integrations.git",
    "conducto.integrations.slack",
    "conducto.integrations.http",
    "conducto.nb",
    "conducto.nb.report_files",
    "conducto.profile",
    "conducto.schedule",
    "conducto.slack",
    "conducto.util",
    "conducto.inspection.source_finder",
]
USE = """\
import conducto.data as data, conducto.util as util, conducto.nb as nb
data.user.puts("a/b", b"1")
open("dir", "wb").close()
data.user.save_cache("c", "1", "dir")
data.user.restore_cache("c", "1", "out")
def f():
    "doc"
    return util.magic_doc()
f()
with nb.cell():
    print(data.user.list("a"))
import os
os.environ.update(CONDUCTO_PIPELINE_ID="abc", CONDUCTO_NODE="/n/" + "x" * 300)
os.environ["CONDUCTO_DATA_PIPELINE"] = os.path.abspath("data")
nb.report("# Good")
from conducto.api import AsyncConfig, Config
Config().set("general", "a", "b")
"""


@pytest.fixture
def python38(python):
    version = find_python38()
    if version is None:
        pytest.skip("no Python 3.8 on this machine")
    return lambda *arguments: python(*arguments, version=version)


@pytest.mark.parametrize("module", MODULES)
def test_it_imports_on_the_oldest_python(module: str, python38) -> None:
    result = python38("-I", "-c", f"import sys; sys.path.insert(0, {sdk()!r}); import {module}")

    assert (result.returncode, result.stderr) == (0, b"")


def test_it_works_on_the_oldest_python(python38, tmp_path: Path) -> None:
    (tmp_path / "cwd" / "use.py").write_text(USE)

    result = python38("use.py")

    assert result.stderr == b""
    assert b"['a/b']" in result.stdout


CLIENT = """\
import conducto as co
from conducto import AsyncPipeline, Pipeline, PipelineFailed, aio, launch
for use in (lambda: launch(3), lambda: aio.launch(3), lambda: Pipeline.wait):
    try:
        use()
    except co.ConductoError as error:
        print(error)
"""


def test_names_of_the_client_are_importable_where_only_using_them_fails(python38) -> None:
    result = python38("-I", "-c", f"import sys; sys.path.insert(0, {sdk()!r})\n{CLIENT}")

    lines = result.stdout.decode().splitlines()
    assert (result.stderr, len(lines)) == (b"", 3)
    assert lines[0].startswith("co.launch: to use co.launch you need Python 3.11 or later")


def test_data_module_imports_nothing_heavy(python) -> None:
    code = "import sys, os; a = {*sys.modules}; import conducto.data; print(*{*sys.modules} - a)"

    brought = set(python("-c", code).stdout.decode().split())

    ours = {name for name in brought if name.startswith("conducto")}
    assert brought - ours - {"__future__", "errno"} == set()


@pytest.mark.parametrize("module", ["callback", "util", "nb", "git", "slack", "schedule", "api"])
def test_heavy_modules_wait_until_they_are_needed(module: str, python) -> None:
    code = f"import sys; import conducto.{module}; print(*sys.modules)"

    loaded = set(python("-c", code).stdout.decode().split())

    heavy = {"asyncio", "tarfile", "inspect", "ast", "subprocess", "configparser", "matplotlib"}
    assert loaded & heavy == set()


SCRIPT = """\
import conducto as co

def build() -> co.Serial:
    "What it builds."
    co.api.Secrets().put_user_secrets({"KEY": "value"})
    root = co.Serial(doc=co.util.magic_doc())
    for node, _ in co.util.makeyyyymmnodes(root, ["2020/01"], makeLeafNode=True):
        node["work"] = co.Exec("true")
        node["work"].on_error(co.callback.retry(2))
        node["work"].on_error(co.callback.email(to="a@b.org"))
        node["work"].on_done(co.callback.slack_status("#ops"))
    co.git.apply_status(root)
    return root

if __name__ == "__main__":
    co.main()
"""


def test_printing_a_tree_fails_for_nothing_that_comes_later(python, tmp_path: Path) -> None:
    (tmp_path / "cwd" / "script.py").write_text(SCRIPT)

    git = {"CONDUCTO_GIT_URL": "https://x/y", "CONDUCTO_GIT_SHA": "abc"}

    result = python("script.py", "build", **git, CONDUCTO_SECRET_STORE="file")

    assert (result.returncode, result.stderr) == (0, b"")
    assert b"work" in result.stdout


@pytest.mark.parametrize(
    "name",
    [
        "integrations.slack.Slack",
        "integrations.git.LogType.MARKDOWN",
        "api.Secrets",
        "api.AsyncPipeline",
        "data.pipeline",
        "nb.matplotlib_inline",
        "util.magic_doc",
        "git.apply_status_all",
        "callback.base",
        "profile.profile_list",
        "schedule.create_schedule",
        "slack.text",
        "temp_data.gets",
        "perm_data.puts",
    ],
)
def test_one_import_is_enough(name: str, python) -> None:
    result = python("-c", f"import conducto as co; print(co.{name} is not None)")

    assert (result.stderr, result.stdout) == (b"", b"True\n")


def sdk() -> str:
    return os.fspath(Path(__file__).parents[2] / "sdk")
