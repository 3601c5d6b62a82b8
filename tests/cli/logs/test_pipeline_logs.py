"""``conducto logs`` for several nodes: one sequence of lines, ordered by time."""

import json
import threading
import time
from collections.abc import Callable

import pytest
from tests.fakes.pipelines import MemoryPipelines

from conducto_cli.logs.pipeline_logs import output_of
from conducto_cli.view.model import MAX_LINE, AttemptOutput, MergedOutput, OutputLine
from conducto_cli.view.plain import LinePrinter, LineStyle, iso_time
from conducto_client import Client
from conducto_core.run.model.states import Cause, State
from support.cli_trees import CountingPipelines, record, view

Conducto = Callable[..., int]
OpenClient = Callable[[], Client]
Output = pytest.CaptureFixture[str]


def begin(fake: MemoryPipelines, path: str, started: float) -> None:
    fake.change("abc-def", path, State.RUNNING, started=started)


@pytest.fixture
def printed(fake: CountingPipelines) -> CountingPipelines:
    """Two tests at the same time, after a build; ``logout`` failed."""
    begin(fake, "/build", 100.0)
    fake.write("abc-def", "/build", b"compiling\nlinking\n", at=100.0)
    fake.write("abc-def", "/build", b"warning\n", stream="stderr", at=100.5)
    fake.change("abc-def", "/build", State.DONE)
    for path in ("/tests/login", "/tests/logout"):
        begin(fake, path, 101.0)
    fake.write("abc-def", "/tests/login", b"in 1\n", at=101.0)
    fake.write("abc-def", "/tests/logout", b"out 1\nout", at=101.2)
    fake.write("abc-def", "/tests/login", b"in 2\n", at=101.4)
    fake.write("abc-def", "/tests/logout", b" 2\nout 3", at=101.6)
    fake.change("abc-def", "/tests/login", State.DONE)
    fake.change("abc-def", "/tests/logout", State.ERROR, cause=Cause.EXIT_CODE, exit_code=1)
    return fake


ALL = """\
/build | compiling
/build | linking
/build | warning
/tests/login | in 1
/tests/logout | out 1
/tests/logout | out 2
/tests/login | in 2
/tests/logout | out 3
"""


def test_lines_of_all_nodes_are_ordered_by_time(
    printed: CountingPipelines, conducto: Conducto, capsys: Output
) -> None:
    assert conducto("logs", "abc-def") == 0
    assert capsys.readouterr().out == ALL


@pytest.mark.parametrize(
    ("words", "lines"),
    [
        (["/tests"], ALL.splitlines()[3:]),
        (["--failed"], [line for line in ALL.splitlines() if "logout" in line]),
        (["--search", "o.*[23]$"], [ALL.splitlines()[5], ALL.splitlines()[7]]),
        (["--search", "OUT", "-i"], [line for line in ALL.splitlines() if "out " in line]),
        (["--tail", "2"], ALL.splitlines()[-2:]),
        (["--stderr"], ["/build | warning"]),
        (["--relative", "--tail", "1"], ["   +101.6s /tests/logout | out 3"]),
        (["/build", "--relative", "--stderr"], ["   +100.5s warning"]),
        (["/tests/login", "--since", "1970-01-01T00:01:41.3+00:00"], ["in 2"]),
    ],
)
@pytest.mark.usefixtures("printed")
def test_options_select_lines(
    words: list[str], lines: list[str], conducto: Conducto, capsys: Output
) -> None:
    assert conducto("logs", "abc-def", *words) == 0
    assert capsys.readouterr().out.splitlines() == lines


def test_lines_as_json(printed: CountingPipelines, conducto: Conducto, capsys: Output) -> None:
    conducto("logs", "abc-def", "--json", "--tail", "1")

    assert json.loads(capsys.readouterr().out) == {
        "time": 101.6,
        "path": "/tests/logout",
        "attempt": 1,
        "stream": "stdout",
        "text": "out 3",
    }


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--search", "nowhere"], 1, ""),
        (["--search", "("], 2, "--search '(' is not a regular expression"),
        (["--lines", "1"], 2, "--lines is for one Exec"),
        (["--regex"], 2, "--regex and --ignore-case are for --search"),
        (["/build", "--failed"], 2, "--failed is for several nodes"),
        (["--since", "yesterday"], 2, "must be a time such as 10m"),
    ],
)
@pytest.mark.usefixtures("printed")
def test_wrong_options_are_errors(
    words: list[str], code: int, said: str, conducto: Conducto, capsys: Output
) -> None:
    assert conducto("logs", "abc-def", *words) == code
    assert said in capsys.readouterr().err


def test_missing_output_is_reported(conducto: Conducto, capsys: Output) -> None:
    assert conducto("logs", "abc-def") == 0
    assert "no command has run yet" in capsys.readouterr().err


def test_lines_are_followed_until_the_pipeline_ends(
    fake: CountingPipelines, conducto: Conducto, capsys: Output
) -> None:
    begin(fake, "/build", 100.0)
    fake.write("abc-def", "/build", b"one\nunfin", at=100.0)

    def run() -> None:
        fake.wait_for_readers("abc-def", 1)
        fake.write("abc-def", "/build", b"ished\nlast", at=101.0)
        fake.change("abc-def", "/build", State.DONE)
        for path in ("/tests/login", "/tests/logout"):
            fake.change("abc-def", path, State.RUNNING)
            fake.write("abc-def", path, b"x\n")
            fake.change("abc-def", path, State.DONE)

    runner = threading.Thread(target=run)
    runner.start()
    code = conducto("logs", "abc-def", "--follow")
    runner.join()

    lines = capsys.readouterr().out.splitlines()
    assert code == 0
    assert lines[:3] == ["/build | one", "/build | unfinished", "/build | last"]
    assert sorted(lines[3:]) == ["/tests/login | x", "/tests/logout | x"]


def test_follow_waits_for_a_pending_node(
    fake: CountingPipelines, conducto: Conducto, capsys: Output
) -> None:
    def run() -> None:
        time.sleep(0.05)
        fake.change("abc-def", "/build", State.RUNNING)
        fake.write("abc-def", "/build", b"now\n")
        fake.change("abc-def", "/build", State.DONE)

    runner = threading.Thread(target=run)
    runner.start()
    code = conducto("logs", "abc-def", "/build", "-f")
    runner.join()

    printed = capsys.readouterr()
    assert (code, printed.out) == (0, "now\n")
    assert printed.err == "conducto: /build has not started; waiting\n"


def test_follow_ends_if_the_pipeline_ends_without_the_node(
    fake: CountingPipelines, conducto: Conducto, capsys: Output
) -> None:
    fake.add("xyz-aaa", [view("/", "Serial"), view("/a")], record("xyz-aaa", armed=False))

    assert conducto("logs", "xyz-aaa", "/a", "-f") == 2
    assert "/a: has not run, so it printed nothing" in capsys.readouterr().err


class _Requests:
    """A client that counts bytes and open streams, for bounds."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.read: list[tuple[str, int]] = []

    def log(self, pipeline_id: str, path: str, **options: object) -> object:
        found = self._client.log(pipeline_id, path, **options)  # type: ignore[arg-type]
        self.read.append((path, len(found.data)))
        return found


def test_an_attempt_is_read_only_when_its_lines_are_due(
    fake: CountingPipelines, open_client: OpenClient
) -> None:
    begin(fake, "/build", 100.0)
    fake.write("abc-def", "/build", b"x" * 99 + b"\n" * 20_000, at=100.0)
    begin(fake, "/tests/login", 200.0)
    with open_client() as client:
        requests = _Requests(client)
        merged = MergedOutput(requests, "abc-def", ("stdout",))  # type: ignore[arg-type]
        merged.add(AttemptOutput("/build", 1, 100.0))
        merged.add(AttemptOutput("/tests/login", 1, 200.0))
        next(iter(merged.lines()))

    assert {path for path, _ in requests.read} == {"/build"}


def test_an_attempt_with_one_stream_needs_one_request(
    fake: CountingPipelines, open_client: OpenClient
) -> None:
    begin(fake, "/build", 100.0)
    fake.write("abc-def", "/build", b"one\n")
    fake.change("abc-def", "/build", State.DONE)
    begin(fake, "/tests/login", 101.0)
    fake.write("abc-def", "/tests/login", b"two\n", stream="stderr")
    fake.change("abc-def", "/tests/login", State.DONE)
    with open_client() as client:
        requests = _Requests(client)
        merged = MergedOutput(requests, "abc-def", ("stdout", "stderr"))  # type: ignore[arg-type]
        merged.add(AttemptOutput("/build", 1, 100.0))
        merged.add(AttemptOutput("/tests/login", 1, 101.0))
        found = [line.data for line in merged.lines()]

    assert found == [b"one", b"two"]
    assert [path for path, _ in requests.read] == ["/build", "/tests/login", "/tests/login"]


def test_silent_attempts_need_no_request(fake: CountingPipelines, open_client: OpenClient) -> None:
    fake.finish("abc-def", "/build")
    begin(fake, "/tests/login", 101.0)
    fake.write("abc-def", "/tests/login", b"two\n", stream="stderr")
    fake.change("abc-def", "/tests/login", State.DONE)
    fake.change("abc-def", "/tests/logout", State.KILLED, queued=102.0)
    with open_client() as client:
        requests = _Requests(client)
        merged = MergedOutput(requests, "abc-def", ("stdout", "stderr"))  # type: ignore[arg-type]
        for node in client.tree("abc-def", attempts="newest"):
            output = output_of(node)
            if output is not None:
                merged.add(output)
        found = [line.data for line in merged.lines()]

    assert found == [b"two"]
    assert {path for path, _ in requests.read} == {"/tests/login"}


def test_a_very_long_line_is_returned_in_parts(
    fake: CountingPipelines, open_client: OpenClient
) -> None:
    begin(fake, "/build", 100.0)
    fake.write("abc-def", "/build", b"x" * (2 * MAX_LINE + 10) + b"\nend\n")
    with open_client() as client:
        merged = MergedOutput(client, "abc-def", ("stdout",))
        merged.add(AttemptOutput("/build", 1, 100.0))
        sizes = [len(line.data) for line in merged.lines()]

    assert sizes == [MAX_LINE, MAX_LINE, 10, 3]


def shown(data: bytes, path: str = "/a", **style: object) -> str:
    line = OutputLine(0.0, path, 1, "stdout", data)
    return LinePrinter(lambda _text: None, LineStyle(**style)).text(line)  # type: ignore[arg-type]


def test_only_colours_of_the_output_reach_a_terminal() -> None:
    data = b"\x1b[32mok\x1b[0m\x1b[2J\x1b]0;title\x07 10%\r100%"

    assert shown(data) == "/a | 100%"
    assert shown(b"\x1b[32mok\x1b[0m\x1b[2J") == "/a | ok"
    assert "\x1b[32mok\x1b[0m" in shown(b"\x1b[32mok\x1b[2J", colour=True)
    assert shown(b"\xff\x00x", path="/\x1b[2J") == "/\\x1b[2J | �\\x00x"


def test_paths_are_aligned_on_a_terminal() -> None:
    assert shown(b"x", columns=60, path_columns=6) == "/a     | x"
    assert shown(b"x", "/integration_tests_of_module_17", columns=60, path_columns=31) == (
        "/integrati…module_17 | x"
    )


def test_times_have_a_zone_and_a_tenth_of_a_second() -> None:
    assert iso_time(1.27).startswith("19")
    assert iso_time(1.27)[19:21] == ".2"
    assert iso_time(1.27)[-3] == ":"
