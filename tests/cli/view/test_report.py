import base64
from collections.abc import Callable
from itertools import islice

import pytest

from conducto_cli.text.text import UNICODE_MARKS, text_of
from conducto_cli.view.model import PipelineModel
from conducto_cli.view.report import ReportPage, final_report
from conducto_client import Client
from conducto_core.run.model.labels import cause_text
from conducto_core.run.model.records import ImageRecord, ImageState
from conducto_core.run.model.states import Cause, State
from support.cli_trees import CountingPipelines, approval, record, view, wide_tree

OpenClient = Callable[[], Client]


def fail(fake: CountingPipelines, path: str, output: bytes = b"", **fields: object) -> None:
    given = {"exit_code": 1, "image": "app:3f2c", "container": "abc-1", "position": 3, **fields}
    cause = given.pop("cause", Cause.EXIT_CODE)
    fake.change("abc-def", path, State.RUNNING)
    fake.write("abc-def", path, output, stream=str(given.pop("stream", "stdout")))
    fake.change("abc-def", path, State.ERROR, cause=cause, **given)


def report(open_client: OpenClient, **changes: object) -> list[str]:
    with open_client() as client:
        model = PipelineModel(client.get("abc-def").model_copy(update=changes))
        model.add(client.tree("abc-def"))
        return [
            text_of(line) for line in final_report(client, model, ReportPage(UNICODE_MARKS, 90))
        ]


def test_failure_report_has_at_most_twelve_lines(
    fake: CountingPipelines, open_client: OpenClient
) -> None:
    output = b"".join(b"line %d\n" % number for number in range(20)) + b"E  assert 302 == 200\n"
    nodes = [
        view("/", "Serial"),
        view("/tests/it", command="set -e\n\ncd tests\npytest -q it"),
    ]
    fake.add("abc-def", [nodes[0], view("/tests", "Serial"), nodes[1], view("/z")], record())
    fail(fake, "/tests/it", output)

    lines = report(open_client, started=10.0, ended=19.4)

    assert lines == [
        "✘ 1 of 2 Execs failed in 9.4s; 1 not run",
        "  /tests/it  exit 1  pipeline.py:41  image app:3f2c  in abc-1 (reused, command 4 in it)",
        "    $ set -e",
        "    $ cd tests …",
        "    │ line 16",
        "    │ line 17",
        "    │ line 18",
        "    │ line 19",
        "    │ E  assert 302 == 200",
        "    all of it: conducto logs abc-def /tests/it",
        "  rerun: conducto rerun abc-def --failed",
        "  shell: conducto debug abc-def /tests/it",
    ]


def test_stderr_goes_before_stdout(fake: CountingPipelines, open_client: OpenClient) -> None:
    fake.change("abc-def", "/build", State.RUNNING)
    fake.write("abc-def", "/build", b"talk\n")
    fake.write("abc-def", "/build", b"\x1b[31mthe reason\x1b[0m\n", stream="stderr")
    fake.change("abc-def", "/build", State.ERROR, cause=Cause.EXIT_CODE, exit_code=1)

    lines = report(open_client)

    assert [line for line in lines if "│" in line] == ["    │ the reason"]


def test_fresh_container_is_marked(fake: CountingPipelines, open_client: OpenClient) -> None:
    fail(fake, "/build", position=0)

    assert "in abc-1 (fresh)" in report(open_client)[1]


def test_a_path_is_quoted_for_a_shell(fake: CountingPipelines, open_client: OpenClient) -> None:
    fake.add("abc-def", [view("/", "Serial"), view("/it's $HOME")], record())
    fail(fake, "/it's $HOME")

    assert report(open_client)[-1] == """  shell: conducto debug abc-def '/it'"'"'s $HOME'"""


def time_out(fake: CountingPipelines) -> None:
    """A group of three: two Execs were ended with it, one never ran."""
    nodes = [
        view("/", "Serial"),
        view("/g", "Parallel", max_time=2, line=12),
        *(view(f"/g/{name}", command="sleep 60") for name in "abc"),
    ]
    fake.add("abc-def", nodes, record())
    for path in ("/g/a", "/g/b"):
        fake.change("abc-def", path, State.RUNNING)
        fake.change("abc-def", path, State.KILLED, cause=Cause.TIMEOUT)
    fake.change("abc-def", "/g", State.KILLED, cause=Cause.TIMEOUT)
    fake.change("abc-def", "/", State.ERROR)


def test_timed_out_group_is_reported_instead_of_its_execs(
    fake: CountingPipelines, open_client: OpenClient
) -> None:
    time_out(fake)
    with open_client() as client:
        model = PipelineModel(client.get("abc-def"))
        model.add(view(path, kind) for path, kind in (("/", "Serial"), ("/g", "Parallel")))
        model.add([view(f"/g/{name}") for name in "abc"])
        for batch in islice(client.events("abc-def", 0), 1):
            model.apply(batch)
        model.rows["/g"].max_time = 2

        lines = [
            text_of(line) for line in final_report(client, model, ReportPage(UNICODE_MARKS, 90))
        ]

    assert lines == [
        "✘ /g timed out; 1 not run",
        "  /g  timed out: max_time 2s (2 killed, 1 not run)  pipeline.py:12",
        "    what it ended: conducto tree abc-def /g",
        "  rerun: conducto rerun abc-def --failed",
    ]


def test_failures_with_the_same_last_line_are_one(
    fake: CountingPipelines, open_client: OpenClient
) -> None:
    fake.add("abc-def", wide_tree(90), record())
    fail(fake, "/all/n0", b"something else\n")
    for number in range(1, 88):
        fail(fake, f"/all/n{number}", b"no module named foo\n")

    lines = report(open_client)

    assert lines[0] == "✘ 88 of 90 Execs failed; 2 not run"
    assert lines[1].startswith("  87 Execs, first /all/n1  exit 1")
    assert sum("no module named foo" in line for line in lines) == 1
    assert sum("something else" in line for line in lines) == 1


def test_beyond_three_kinds_the_rest_is_counted(
    fake: CountingPipelines, open_client: OpenClient
) -> None:
    fake.add("abc-def", wide_tree(6), record())
    for number in range(6):
        fail(fake, f"/all/n{number}", b"reason %d\n" % number)

    lines = report(open_client)

    assert "  … 3 more: conducto show abc-def --failed" in lines
    assert sum("reason" in line for line in lines) == 3


def test_failed_image_is_reported_once(fake: CountingPipelines, open_client: OpenClient) -> None:
    image = ImageRecord(
        name="app", state=ImageState.ERROR, error="Step 2/2 : RUN make\nmake: not found\n"
    )
    fake.set_image("abc-def", image)
    for path in ("/tests/login", "/tests/logout"):
        fake.change("abc-def", path, State.ERROR, cause=Cause.IMAGE)

    assert report(open_client) == [
        "✘ 2 of 3 Execs failed; 1 not run",
        "  image app  could not be had; 2 Execs cannot run without it",
        "    │ Step 2/2 : RUN make",
        "    │ make: not found",
        "  whole build: conducto logs abc-def --image app",
        "  rerun: conducto rerun abc-def --failed",
    ]


def test_invalid_lazy_tree_is_reported_without_the_other_output(
    fake: CountingPipelines, open_client: OpenClient
) -> None:
    wrong = "/a: cpu=64 is more than this machine has"
    fail(fake, "/build", b"warning: old library\n", cause=Cause.LAZY, exit_code=0, message=wrong)

    lines = report(open_client)

    assert [line.strip() for line in lines if "│" in line] == [f"│ {wrong}"]


def test_causes_are_words(fake: CountingPipelines, open_client: OpenClient) -> None:
    fail(fake, "/build", cause=Cause.OUT_OF_MEMORY, exit_code=137)

    assert "/build  out of memory  " in report(open_client)[1]


def test_missing_program_in_the_image_is_reported_with_remedy(
    fake: CountingPipelines, open_client: OpenClient
) -> None:
    fail(fake, "/build", exit_code=127)

    assert "exit 127: command not found: install it in the image" in report(open_client)[1]


def test_long_image_error_is_printed_completely(
    fake: CountingPipelines, open_client: OpenClient
) -> None:
    error = "image 'x': not on this machine. " + "Is it spelled right? " * 8 + "Then log in."
    fake.set_image("abc-def", ImageRecord(name="x", state=ImageState.ERROR, error=error))
    fake.change("abc-def", "/build", State.ERROR, cause=Cause.IMAGE)

    lines = report(open_client)

    assert any(line.endswith("Then log in.") for line in lines)
    assert max(map(len, lines)) <= 90


def test_idle_time_between_runs_is_excluded(
    fake: CountingPipelines, open_client: OpenClient
) -> None:
    for path in ("/build", "/tests/login", "/tests/logout"):
        fake.finish("abc-def", path)

    lines = report(open_client, settled=True, started=0.0, ended=50400.0, active_seconds=4.1)

    assert lines == ["✔ done: 3 Execs in 4.1s at work, 14h 00m in all"]


def test_success_is_one_line(fake: CountingPipelines, open_client: OpenClient) -> None:
    for path in ("/build", "/tests/login", "/tests/logout"):
        fake.finish("abc-def", path)

    assert report(open_client, started=1.0, ended=5.1) == ["✔ done: 3 Execs in 4.1s"]


def test_a_pipeline_that_paused_by_itself_says_why(
    fake: CountingPipelines, open_client: OpenClient
) -> None:
    told = record(problem="the engine is gone")

    assert report(open_client, pipeline=told)[:2] == [
        "○ pending: 3 Execs not run",
        "  the engine is gone",
    ]


def test_paused_pipeline_says_how_to_continue(
    fake: CountingPipelines, open_client: OpenClient
) -> None:
    assert report(open_client) == [
        "○ pending: 3 Execs not run",
        "  continue: conducto run abc-def",
    ]


def test_long_lines_are_clipped_but_commands_to_copy_are_not(
    fake: CountingPipelines, open_client: OpenClient
) -> None:
    path = "/" + "n" * 200
    fake.add("abc-def", [view("/", "Serial"), view(path, command="c" * 500)], record())
    fail(fake, path, b"o" * 500)

    lines = report(open_client)

    assert max(len(line) for line in lines if line.lstrip().startswith(("$", "│"))) <= 90
    assert lines[-1].endswith(f"conducto debug abc-def {path}")


def test_binary_output_is_printable(fake: CountingPipelines, open_client: OpenClient) -> None:
    fail(fake, "/build", base64.b64decode("/wD+G1tIAQo="))

    assert all(line.isprintable() for line in report(open_client))


def test_shell_command_uses_the_snapshot(fake: CountingPipelines, open_client: OpenClient) -> None:
    fail(fake, "/build", snapshot="conducto_snapshot:abc")

    assert report(open_client)[-1] == "  shell: conducto debug abc-def /build --snapshot"


def test_plain_processes_have_no_shell_to_offer(
    fake: CountingPipelines, open_client: OpenClient
) -> None:
    plain = record().model_copy(update={"engine": "process"})
    fake.add("abc-def", [view("/", "Serial"), view("/build")], plain)
    fail(fake, "/build")

    assert report(open_client)[-1] == "  rerun: conducto rerun abc-def --failed"


@pytest.mark.parametrize("cause", [Cause.REJECTED, Cause.APPROVAL_TIMEOUT])
def test_undecided_or_rejected_approval_has_no_output_and_no_shell(
    fake: CountingPipelines, open_client: OpenClient, cause: Cause
) -> None:
    fake.add("abc-def", [view("/", "Serial"), approval("/ask")], record())
    fake.change("abc-def", "/ask", State.KILLED, cause=cause)

    assert report(open_client)[1:] == [
        f"  /ask  {cause_text(cause, None)}  pipeline.py:41",
        "  rerun: conducto rerun abc-def --failed",
    ]
