"""The host's side of the command server, and the server's refusal to run where it must not."""

import itertools
import os
import subprocess

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from conducto.wire.outputs import FRAME_START, MAX_FRAME, frame
from conducto_core.command.server import (
    ISOLATE,
    READY,
    Finished,
    JobEncoder,
    OutputParser,
    ServerProtocolError,
    Stream,
    native_call,
    server_argv,
)

NONCE = "0123456789abcdef"
STDOUT_TRAILER = b"\x1e0123456789abcdef 3 1 4096\n"
STDERR_TRAILER = b"\x1e0123456789abcdef\n"
#: Bytes out of which trailers and their look-alikes are made.
LOOKALIKE = st.lists(
    st.sampled_from([b"\x1e", b"\x1e0123", b"\n", b"x", b"0123456789abcdef", STDERR_TRAILER[:-2]])
).map(b"".join)


def _cut(data: bytes, at: list[int]) -> list[bytes]:
    places = [0, *sorted(place % (len(data) + 1) for place in at), len(data)]
    return [data[a:b] for a, b in itertools.pairwise(places)]


@given(
    text=(st.binary() | LOOKALIKE).filter(lambda text: STDERR_TRAILER[:-1] not in text),
    cuts=st.lists(st.integers(0, 1000)),
)
def test_output_is_the_same_wherever_chunks_are_cut(text: bytes, cuts: list[int]) -> None:
    parser = OutputParser(NONCE)

    output = b"".join(parser.feed("stdout", chunk) for chunk in _cut(text + STDOUT_TRAILER, cuts))
    parser.feed("stderr", STDERR_TRAILER)

    assert output == text
    assert parser.finished == Finished(3, 1, 4096)


@given(content=st.binary() | LOOKALIKE, cuts=st.lists(st.integers(0, 1000)))
def test_files_are_the_same_wherever_chunks_are_cut(content: bytes, cuts: list[int]) -> None:
    marker = b"\x1e" + NONCE.encode()
    while marker in content:  # what remains around a marker may be another one
        content = content.replace(marker, b"")
    sent = marker + b"=result\n" + content + marker + b"=metrics\n{}\n" + STDOUT_TRAILER
    parser = OutputParser(NONCE)

    output = b"".join(parser.feed("stdout", chunk) for chunk in _cut(b"out" + sent, cuts))
    parser.feed("stderr", STDERR_TRAILER)

    assert output == b"out"
    assert parser.finished == Finished(3, 1, 4096, {"result": content, "metrics": b"{}\n"})


FRAME = frame("metrics", '{"name": "m", "value": 1}\n')


def _is_output(text: bytes) -> bool:
    return b"\x1e0" not in text and b"\n" not in text.partition(FRAME_START)[2]


@given(
    texts=st.lists((st.binary() | LOOKALIKE).filter(_is_output), min_size=1),
    cuts=st.lists(st.integers(0, 1000)),
)
@example(texts=[b"x" + FRAME_START, FRAME_START * 2, b""], cuts=[])
@example(texts=[b"\x1e", NONCE.encode()], cuts=[1 + len(FRAME)])
def test_frames_are_separated_from_output_wherever_chunks_are_cut(
    texts: list[bytes], cuts: list[int]
) -> None:
    parser = OutputParser(NONCE)

    found = [
        part
        for chunk in _cut(FRAME.join(texts) + STDOUT_TRAILER, cuts)
        for part in parser.parts("stdout", chunk)
    ]
    parser.feed("stderr", STDERR_TRAILER)

    assert b"".join(data for kind, data in found if kind == "stdout") == b"".join(texts)
    frames = [data for kind, data in found if kind == "frame"]
    assert frames == [b'metrics {"name": "m", "value": 1}'] * (len(texts) - 1)
    assert parser.finished == Finished(3, 1, 4096)


@pytest.mark.parametrize(
    "text", [FRAME[:-1], FRAME[:5], FRAME[:-1] + b"x" * MAX_FRAME + b"\n", b"\x1e" * 20]
)
def test_incomplete_and_long_frames_are_output(text: bytes) -> None:
    parser = OutputParser(NONCE)

    found = [*parser.parts("stdout", text), *parser.parts("stdout", STDOUT_TRAILER)]

    assert b"".join(data for _, data in found) == text
    assert {kind for kind, _ in found} == {"stdout"}


@pytest.mark.parametrize("order", [("stdout", "stderr"), ("stderr", "stdout")], ids="-".join)
def test_a_command_is_finished_when_both_streams_are(order: tuple[Stream, Stream]) -> None:
    trailers = {"stdout": STDOUT_TRAILER, "stderr": STDERR_TRAILER}
    parser = OutputParser(NONCE)
    parser.feed(order[0], trailers[order[0]])

    before = parser.finished
    parser.feed(order[1], trailers[order[1]])

    assert before is None
    assert parser.finished is not None


def test_a_line_is_passed_on_before_the_next_byte_comes() -> None:
    assert OutputParser(NONCE).feed("stdout", b"line\n") == b"line\n"


def test_output_after_a_trailer_is_discarded() -> None:
    parser = OutputParser(NONCE)

    output = parser.feed("stderr", STDERR_TRAILER + b"late")

    assert output == b""
    assert parser.feed("stderr", b"later") == b""


def test_an_unknown_peak_is_none() -> None:
    parser = OutputParser(NONCE)
    parser.feed("stdout", b"\x1e0123456789abcdef 0 0 \n")
    parser.feed("stderr", STDERR_TRAILER)

    assert parser.finished == Finished(0, 0, None)


@pytest.mark.parametrize(
    "trailer", [b" x 0 0\n", b" \n", b" " * 5000], ids=["word", "none", "long"]
)
def test_a_trailer_that_cannot_be_read_is_an_error(trailer: bytes) -> None:
    parser = OutputParser(NONCE)
    parser.feed("stderr", STDERR_TRAILER)

    with pytest.raises(ServerProtocolError, match="trailer"):  # noqa: PT012
        parser.feed("stdout", b"\x1e" + NONCE.encode() + trailer)
        assert parser.finished is None


def _is_encodable(text: str) -> bool:
    try:
        os.fsencode(text)
    except UnicodeEncodeError:
        return False
    return True


SHELL_TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=())).filter(
    _is_encodable
)


@pytest.mark.parametrize("shell", ["dash", "bash"])
@settings(max_examples=25)
@given(script=SHELL_TEXT, value=SHELL_TEXT)
def test_shell_decodes_encoded_jobs(shell: str, script: str, value: str) -> None:
    line = JobEncoder().encode(script, {"VALUE": value}).line
    receive = (
        "_n='\n'; _cs_run() { _cs_base export; _cs_env export; "
        'printf \'%s\\0%s\' "$_cs_script" "$VALUE"; }'
    )

    result = subprocess.run(
        [shell, "-c", f'{receive}; IFS= read -r line; eval "$line"'],
        input=line,
        capture_output=True,
        check=True,
    )

    assert result.stdout == os.fsencode(script) + b"\0" + os.fsencode(value)
    assert line.count(b"\n") == 1


def test_shared_environment_is_sent_once() -> None:
    encoder = JobEncoder()
    shared = {f"NAME_{n}": "x" * 100 for n in range(10)}
    encoder.encode("true", {**shared, "PATH_OF_NODE": "/a"})

    line = encoder.encode("true", {**shared, "PATH_OF_NODE": "/b"}).line

    assert len(line) < 150
    assert b"'/b'" in line


@settings(max_examples=40)
@given(
    st.lists(
        st.dictionaries(st.sampled_from(["A", "B", "C", "D"]), st.sampled_from(["1", "2"])),
        min_size=1,
        max_size=6,
    )
)
def test_each_command_sees_its_own_variables_only(environments: list[dict[str, str]]) -> None:
    encoder = JobEncoder()
    lines = b"".join(encoder.encode("", env).line for env in environments)
    receive = '_cs_run() { ( _cs_base export; _cs_env export; echo "$A,$B,$C,$D" ) }'

    result = subprocess.run(
        ["dash", "-c", f'{receive}; while IFS= read -r line; do eval "$line"; done'],
        input=lines,
        capture_output=True,
        check=True,
        env={},
    )

    expected = [",".join(env.get(name, "") for name in "ABCD") for env in environments]
    assert result.stdout.decode().splitlines() == expected


@pytest.mark.parametrize(
    ("script", "env", "message"),
    [
        ("a\0b", {}, "NUL"),
        ("a", {"X": "a\0b"}, "X holds a NUL"),
        ("a", {"": "x"}, "cannot be the name"),
        ("a", {"A=B": "x"}, "'A=B' cannot be the name"),
    ],
)
def test_jobs_that_a_shell_cannot_receive_are_rejected(
    script: str, env: dict[str, str], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        JobEncoder().encode(script, env)


def test_no_two_commands_have_the_same_nonce() -> None:
    encoder = JobEncoder()

    assert len({encoder.encode("true", {}).nonce for _ in range(100)} | {READY}) == 101


def test_the_server_does_not_run_outside_a_process_namespace_of_its_own() -> None:
    result = subprocess.run(
        server_argv("/bin/sh", "/nonexistent"), input=b"", capture_output=True, check=False
    )

    assert result.returncode == 70
    assert b"not 1: it does not run outside its own process namespace" in result.stderr
    assert result.stdout == b""


@pytest.mark.parametrize(
    ("script", "call"),
    [
        ("conducto /app/a.py f", ["/app/a.py", "f"]),
        ("conducto a.py f --x=1 '--y=a b'", ["a.py", "f", "--x=1", "--y=a b"]),
        ("conducto a.py f; rm -r x", None),
        ("conducto a.py f $HOME", None),
        ("conducto a.py f\ntrue", None),
        ("conducto a.py -h", None),
        ("conducto a.py", None),
        ("conducto list", None),
        ("exec conducto a.py f", None),
        ("conducto a.py f 'x", None),
    ],
)
def test_native_call_is_recognized_only_if_the_command_does_nothing_else(
    script: str, call: list[str] | None
) -> None:
    assert native_call(script) == call


def test_native_calls_are_forked_unless_the_node_is_isolated() -> None:
    script = "conducto a.py f"
    encoded = [
        JobEncoder().encode(script, env).line
        for env in ({}, {ISOLATE: "1"}, {ISOLATE: "0"}, {ISOLATE: "0", "a-b": "not a shell's name"})
    ]

    assert [b";_cs_call " in line for line in encoded] == [True, False, True, False]


def test_trailer_names_the_interpreter_of_a_native_function() -> None:
    parser = OutputParser(NONCE)
    parser.feed("stdout", b"\x1e0123456789abcdef 0 0 4096 the import starts a thread\n")
    parser.feed("stderr", STDERR_TRAILER)

    assert parser.finished == Finished(0, 0, 4096, interpreter="the import starts a thread")


def test_long_lines_are_announced_and_short_ones_are_not() -> None:
    encoder = JobEncoder()
    short, long = encoder.encode("true", {}), encoder.encode("ä" * 5000, {})

    announcement, _, line = long.line.partition(b"\n")
    assert announcement == f"_cs_load {len(line)} {long.nonce}".encode()
    assert line.endswith(f"_cs_run {long.nonce}\n".encode())
    assert short.line.count(b"\n") == 1


def test_stderr_without_a_trailer_ends_with_the_output_that_was_held_back() -> None:
    parser = OutputParser(NONCE)
    parser.feed("stdout", STDOUT_TRAILER)
    shown = parser.feed("stderr", b"text\x1e0123")

    rest = parser.end_stderr()

    assert (shown, rest) == (b"text", [("stderr", b"\x1e0123")])
    assert parser.finished == Finished(3, 1, 4096)
    assert parser.feed("stderr", b"of another process") == b""
