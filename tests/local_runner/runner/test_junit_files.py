"""JUnit files of commands, and what Conducto does with their tests, on each engine."""

import time

import pytest

import conducto as co
from conducto_core.diagnosis.model import DiagnosisParams
from conducto_core.diagnosis.rules.markdown import markdown
from conducto_core.results.model import OutputParams
from conducto_core.results.records import records_in
from conducto_core.run.model.params import PipelineParams
from conducto_core.run.model.states import State
from conducto_core.test_results.model import (
    PipelineTestParams,
    ProgramTestParams,
    QuarantineParams,
    QuarantineRequest,
    TestChange,
    TestResult,
)
from support.containers import BUSYBOX

pytestmark = pytest.mark.asyncio(loop_scope="module")


def report(*cases):
    """Return a command that writes a JUnit file with tests: ``name`` passes, ``!name`` fails."""
    xml = "".join(
        f'<testcase classname="t" name="{case.strip("!")}" time="1">'
        + ('<failure message="wrong"/>' if case.startswith("!") else "")
        + "</testcase>"
        for case in cases
    )
    return f"mkdir -p $DIR; echo '<testsuite>{xml}</testsuite>' >$DIR/out.xml"


def tree(folder, **commands):
    root = co.Serial(
        image=BUSYBOX,
        stop_on_error=False,
        env={"DIR": folder},
        junit=f"{folder}/*.xml",
        title=folder,
    )
    for name, command in commands.items():
        root[name] = co.Exec(command)
    return root


@pytest.fixture
def folder(tmp_path):
    return f"/tmp/conducto-junit-{tmp_path.parent.name}-{tmp_path.name}"  # in containers, too


async def names(run, path):
    query = OutputParams(id=run.id, path=path)
    _, data = await run.local.pipelines.attempt_output(query, "tests")
    return [test.name for test in records_in(data, TestResult)[0]]


async def listed(run, **query):
    return await run.local.pipelines.list_pipeline_tests(PipelineTestParams(id=run.id, **query))


async def test_tests_of_a_command_are_kept(local, folder):
    run = await local.run(tree(folder, a=report("one", "!two") + "; exit 1"))

    (attempt,) = await run.attempts("/a")
    assert (attempt.outputs.tests.passed, attempt.outputs.tests.failed) == (1, 1)
    assert await names(run, "/a") == ["t::two", "t::one"]


async def test_files_of_an_earlier_command_are_left_out(local, folder):
    run = await local.run(tree(folder, a=report("one"), b="true", c=report("two")))

    assert await names(run, "/a") == ["t::one"]
    assert (await run.attempts("/b"))[0].outputs is None
    assert await names(run, "/c") == ["t::two"]
    assert b"no file with tests" in await run.output("/b", "stderr")


async def test_variable_that_shells_guard_does_not_matter(local, folder):
    root = tree(folder, a=report("one"), b=report("two"))
    root["a"].env["UID"] = "7"

    run = await local.run(root)

    assert await names(run, "/a") == ["t::one"]
    assert await names(run, "/b") == ["t::two"]


async def test_inherited_pattern_ends_with_an_empty_list(local, folder):
    root = tree(folder, a=report("one"))
    root["b"] = co.Exec(report("two"), junit=[])

    run = await local.run(root)

    assert (await run.attempts("/b"))[0].outputs is None
    assert await run.output("/b", "stderr") == b""


async def test_large_file_is_cut_off(local, folder):
    start = '<a><testcase name="t"/><system-out>'
    fill = "yes 'a long line of output of a test' | head -c 90000000 >>$DIR/out.xml"

    run = await local.run(tree(folder, a=f"mkdir -p $DIR; echo '{start}' >$DIR/out.xml; {fill}"))

    (attempt,) = await run.attempts("/a")
    counts = attempt.outputs.tests
    assert (counts.passed, counts.incomplete) == (1, True)
    assert b"64 MB" in await run.output("/a", "stderr")


async def test_file_of_1_gb_is_cut_off(local, folder):
    start = '<testsuite><testcase classname="t" name="t" time="1"/>'
    command = f"mkdir -p $DIR; echo '{start}' >$DIR/out.xml; truncate -s 1G $DIR/out.xml"
    run = await local.run(tree(folder, a=command))
    (attempt,) = await run.attempts("/a")

    assert attempt.state is State.DONE
    assert (attempt.outputs.tests.passed, attempt.outputs.tests.incomplete) == (1, True)
    assert b"they have more than 64 MB" in await run.output("/a", "stderr")


async def test_quarantine_that_has_ended_does_not_count(local, folder):
    command = report("!bad", "ok") + "; exit 1"
    first = await local.run(tree(folder, a=command))
    kept = await quarantine(local, first, "t::bad")
    ended = kept.model_copy(update={"until": time.time() - 1})
    local.pipelines.quarantine_store().put(ended)

    second = await local.run(tree(folder, a=command))

    assert (await second.node("/a")).state is State.ERROR
    found = await local.pipelines.list_program_tests(ProgramTestParams(id=second.id))
    assert found.quarantines == ()


async def test_changes_are_those_since_the_earlier_pipeline(local, folder):
    first = await local.run(tree(folder, a=report("!old", "!repaired", "works", "ok") + "; exit 1"))
    second = await local.run(
        tree(folder, a=report("!old", "repaired", "!works", "ok") + "; exit 1")
    )

    before, after = await listed(first), await listed(second)

    assert before.new_failures == 2
    assert (after.new_failures, after.still_failing, after.fixed) == (1, 1, 1)
    changes = [(test.name, test.change) for test in after.tests]
    assert changes[:3] == [
        ("t::works", TestChange.NEW_FAILURE),
        ("t::old", TestChange.STILL_FAILING),
        ("t::repaired", TestChange.FIXED),
    ]
    history = await local.pipelines.list_program_tests(ProgramTestParams(id=second.id))
    outcomes = {test.name: test.outcomes[-2:] for test in history.tests}
    assert outcomes == {"t::old": "ff", "t::repaired": "fp", "t::works": "pf", "t::ok": "pp"}
    assert history.complete


async def test_test_that_passes_when_repeated_is_flaky(local, folder):
    command = f"if [ $CONDUCTO_ATTEMPT = 1 ]; then {report('!t')}; exit 1; else {report('t')}; fi"
    run = await local.run(tree(folder, a=command))
    await run.control("reset", "/a")
    await run.settled()

    found = (await listed(run, only="flaky")).tests

    # Without an image, the code may have changed: nobody knows whether the inputs were equal.
    expected = [("t::t", "passed", True)] if local.engine == "docker" else []
    assert [(test.name, test.outcome, test.flaky) for test in found] == expected


async def quarantine(local, run, test, seconds=3600.0):
    request = QuarantineRequest(test=test, until=time.time() + seconds, reason="see issue 7")
    return await local.pipelines.quarantine_test(PipelineParams(id=run.id), request)


async def test_node_with_only_quarantined_failures_is_done_with_a_warning(local, folder):
    command = report("!bad", "ok") + "; exit 1"
    first = await local.run(tree(folder, a=command))
    kept = await quarantine(local, first, "t::bad")

    second = await local.run(tree(folder, a=command, b=report("!bad", "!other") + "; exit 1"))

    node, other = await second.node("/a"), await second.node("/b")
    assert (node.state, node.warning) == ("done", True)
    assert other.state == "error"
    (attempt,) = await second.attempts("/a")
    assert attempt.message == "done with a warning: only quarantined tests failed: t::bad"
    found = await listed(second, path="/a")
    assert (found.quarantined, found.tests[0].quarantined) == (1, True)
    ended = await local.pipelines.end_quarantine(QuarantineParams(id=second.id, name=kept.name))
    assert ended.reason == "see issue 7"
    third = await local.run(tree(folder, a=command))
    assert (await third.node("/a")).state == "error"


async def test_failed_tests_are_in_the_diagnosis(local, folder):
    run = await local.run(tree(folder, a=report("!bad", "ok") + "; exit 1"))

    found = await local.pipelines.get_diagnosis(DiagnosisParams(id=run.id))
    shown = await local.pipelines.get_diagnosis(DiagnosisParams(id=run.id, format="text"))

    assert [each.name for each in found.tests.tests] == ["t::bad"]
    assert "failed tests: 1 (1 new)" in shown.text
    assert "| t::bad [new]: wrong" in shown.text
    assert "    t::bad [new]: wrong" in markdown(found, 5000)


@pytest.mark.parametrize(
    "end", ["exit 137", "echo '<testsuite' >$DIR/other.xml; exit 1"], ids=["signal", "cut off"]
)
async def test_other_failures_are_not_excused(local, folder, end):
    first = await local.run(tree(folder, a=report("!bad") + "; exit 1"))
    await quarantine(local, first, "t::bad")

    second = await local.run(tree(folder, a=report("!bad") + f"; {end}"))

    assert (await second.node("/a")).state == "error"
