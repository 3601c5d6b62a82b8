"""Coverage files of commands, on each engine: the lines of a pipeline, and its base."""

import pytest

import conducto as co
from conducto_core.coverage.model import CoverageParams
from conducto_core.test_results.model import ProgramTestParams
from support.containers import BUSYBOX

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture
def folder(tmp_path):
    return f"/tmp/conducto-coverage-{tmp_path.parent.name}-{tmp_path.name}"  # in containers, too


def report(folder, name, *lines):
    """Return a command that writes an LCOV file; ``lines`` are such as ``1,5``."""
    text = "\\n".join(["SF:src/a.py", *(f"DA:{each}" for each in lines), "end_of_record"])
    return f"mkdir -p {folder}; printf '{text}\\n' >{folder}/{name}.info"


def tree(folder, **commands):
    root = co.Serial(image=BUSYBOX, stop_on_error=False, coverage=f"{folder}/*.info", title=folder)
    for name, command in commands.items():
        root[name] = co.Exec(command)
    return root


async def coverage(run):
    return await run.local.pipelines.get_coverage(CoverageParams(id=run.id))


async def test_lines_of_all_commands_are_merged_and_compared(local, folder):
    one = report(folder, "a", "1,5", "2,0", "3,0")
    first = await local.run(tree(folder, a=one, b="true"))
    two = report(folder, "b", "1,0", "2,1")
    second = await local.run(tree(folder, a=one, b=f"{two}; exit 1"))
    before, now = await coverage(first), await coverage(second)

    assert (before.lines, before.covered, before.base) == (3, 1, None)
    assert (now.lines, now.covered) == (3, 2)
    assert (now.base.pipeline, now.base.covered) == (first.id, 1)
    (file,) = now.files
    assert (file.file, file.missed, file.before) == ("src/a.py", "3", 33.3)
    (attempt,) = await second.attempts("/a")
    assert (attempt.outputs.coverage.lines, attempt.outputs.coverage.covered) == (3, 1)
    assert b"coverage: no file was written" in await first.output("/b", "stderr")


async def test_history_has_the_coverage_of_each_pipeline(local, folder):
    first = await local.run(tree(folder, a=report(folder, "a", "1,5", "2,0"), b="true"))
    await local.run(tree(folder, a="true", b="true"))
    last = await local.run(tree(folder, a=report(folder, "a", "1,5", "2,1"), b="true"))
    found = await local.pipelines.list_program_tests(ProgramTestParams(id=last.id))

    assert [(each.lines, each.covered) for each in found.pipelines] == [(2, 1), (0, 0), (2, 2)]
    assert [found.pipelines[0].id, found.pipelines[-1].id] == [first.id, last.id]


async def test_both_kinds_of_reports_of_one_command(local, folder):
    xml = '<testsuite><testcase name="t"/></testsuite>'
    root = tree(folder, a=f"{report(folder, 'a', '1,1')}; echo '{xml}' >{folder}/t.xml")
    root["a"].junit = f"{folder}/*.xml"
    run = await local.run(root)
    (attempt,) = await run.attempts("/a")

    assert attempt.outputs.coverage.covered == 1
    assert attempt.outputs.tests.passed == 1
