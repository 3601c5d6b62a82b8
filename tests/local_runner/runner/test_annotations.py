"""Messages about lines of files, from `co.annotate` and the output of commands, on each engine."""

import json

import pytest

import conducto as co
from conducto_core.annotations.model import AnnotationParams, line_of
from conducto_core.diagnosis.model import DiagnosisParams
from conducto_core.diagnosis.rules.markdown import markdown
from support.containers import BUSYBOX

pytestmark = pytest.mark.asyncio(loop_scope="module")

#: What `co.annotate` writes, for an image without Python.
NOTE = json.dumps({"file": "a.py", "line": 3, "level": "warning", "message": "unused name"})


async def notes(run, **query):
    found = await run.local.pipelines.list_annotations(AnnotationParams(id=run.id, **query))
    return [line_of(each) for each in found.annotations]


async def test_annotations_of_commands_are_kept(local):
    root = co.Serial(image=BUSYBOX, stop_on_error=False)
    root["a"] = co.Exec(f"echo '{NOTE}' >$CONDUCTO_RUN_DIR/annotations")
    root["b"] = co.Exec("true")  # in the same container: it has none
    root["c"] = co.Exec("echo 'src/m.c:7:1: error: bad thing'; exit 1")
    root["d"] = co.Exec("echo 'src/m.c:8:1: error: not failed'")
    run = await local.run(root)

    assert await notes(run) == ["src/m.c:7: error: bad thing", "a.py:3: warning: unused name"]
    assert await notes(run, path="/a") == ["a.py:3: warning: unused name"]
    (attempt,) = await run.attempts("/a")
    assert attempt.outputs.annotations == 1
    assert (await run.attempts("/b"))[0].outputs is None


async def test_diagnosis_has_the_lines_of_failed_commands(local):
    root = co.Serial(image=BUSYBOX)
    root["c"] = co.Exec("echo 'src/m.c:7:1: error: bad thing' >&2; exit 1")
    run = await local.run(root)
    found = await run.local.pipelines.get_diagnosis(DiagnosisParams(id=run.id))
    text = await run.local.pipelines.get_diagnosis(DiagnosisParams(id=run.id, format="text"))

    assert [line_of(each) for each in found.annotations] == ["src/m.c:7: error: bad thing"]
    assert "lines of files:" in text.text
    assert "**Lines of files:**\n\n    src/m.c:7: error: bad thing" in markdown(found, 3000)


async def test_next_attempt_has_its_own_annotations(local, tmp_path):
    flag = f"/tmp/conducto-note-{tmp_path.parent.name}-{tmp_path.name}"  # in containers, too
    root = co.Serial(image=BUSYBOX, retry=co.retry(1))
    root["a"] = co.Exec(f"test -e {flag} || {{ touch {flag}; echo 'a.c:1: error: x'; exit 1; }}")
    run = await local.run(root)

    assert await notes(run) == []
