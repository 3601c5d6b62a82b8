"""A Notebook node in a container; papermill is a stand-in that writes what it was asked."""

import json

import pytest

import conducto as co
from support.containers import clean_runner
from support.stand_ins import ensure

pytestmark = pytest.mark.docker

PAPERMILL = """\
import json, sys
json.dump({"ran": sys.argv[1:]}, open(sys.argv[2], "w"))
print("cell output")
sys.exit(3 if "fail" in sys.argv else 0)
"""


@pytest.fixture
def notebook(tmp_path):
    code = tmp_path / "code"
    (code / "papermill").mkdir(parents=True)
    (code / "papermill" / "__init__.py").touch()
    (code / "papermill" / "__main__.py").write_text(PAPERMILL)
    (code / "report.ipynb").write_text("{}")
    return code / "report.ipynb"


def tree(notebook, **parameters):
    image = co.Image("python:3.11-slim", copy_dir=str(notebook.parent), install_pip=["conducto"])
    root = co.Serial(image=image, env={"PYTHONPATH": "/mnt/conducto"}, cpu=0.5, mem=0.5)
    root["nb"] = co.Notebook(str(notebook), **parameters)
    return root


@pytest.mark.parametrize(("name", "state"), [("ok", "done"), ("fail", "error")])
async def test_a_notebook_runs_and_is_kept_as_it_was_executed(tmp_path, notebook, name, state):
    ensure(["python:3.11-slim"])
    async with clean_runner(tmp_path / "home") as local:
        run = await local.run(tree(notebook, name=name, n=3))

        (kept,) = run.data.glob(".notebooks/*/report.ipynb")
        ran = json.loads(kept.read_text())["ran"]
        output = (await run.output("/nb")).decode()
        assert (await run.states())["/nb"] == state
        assert ran[0] == "/mnt/conducto/report.ipynb"
        assert ran[4:8] == ["-p", "name", name, "-p"]
        assert output.startswith("cell output\n<ConductoMarkdown>\n[report.ipynb](")
