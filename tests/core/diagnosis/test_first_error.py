"""The first error in output, and its signature."""

import time

import pytest

from conducto_core.diagnosis.rules.first_error import (
    MAX_SIGNATURE,
    ErrorFinder,
    clean,
    signature_of,
)


def found(stderr="", stdout="", part=None):
    finder = ErrorFinder()
    for stream, text in (("stderr", stderr), ("stdout", stdout)):
        data = text if isinstance(text, bytes) else text.encode()
        size = part or len(data) or 1
        for start in range(0, len(data), size):
            finder.feed(stream, data[start : start + size])
    return finder.result()


TRACE = """starting
Traceback (most recent call last):
  File "/a/b.py", line 3, in main
    raise KeyError("fee")
KeyError: 'fee'
retrying after the error
"""


@pytest.mark.parametrize("part", [None, 1, 7, 64])
def test_last_line_of_the_first_python_trace_is_the_error(part):
    error = found(TRACE, part=part)

    assert (error.text, error.stream, error.line) == ("KeyError: 'fee'", "stderr", 4)
    assert TRACE.encode()[error.offset :].startswith(b"KeyError")


@pytest.mark.parametrize(
    ("output", "text"),
    [
        ("ok\n0 errors, 1 failed\nmake: *** [all] Error 2\n", "make: *** [all] Error 2"),
        ("sh: 1: API_URL: not set\n", "sh: 1: API_URL: not set"),
        ("a.c:17: fatal error: openssl/ssl.h: No such file\n" + "note\n" * 5000, "a.c:17: fatal"),
        ("only a last line\n\n", "only a last line"),
        ("no newline: permission denied", "no newline: permission denied"),
        (b"\xff\xfe\x00 broken \xe2\x82 error: x\n".decode("latin1"), "error: x"),
    ],
)
def test_first_line_that_names_an_error_is_found(output, text):
    assert text in found(output).text


def test_stderr_wins_and_stdout_is_used_without_an_error_in_it():
    assert found("error: a\n", "error: b\n").text == "error: a"
    assert (
        found("warming up\n", "E   AssertionError: 1 == 2\n").text == "E   AssertionError: 1 == 2"
    )
    assert found() is None


def test_failures_of_one_cause_have_one_signature():
    def one(number):
        return found(
            f"2026-11-2{number} 10:00:0{number} psycopg2.OperationalError: /tmp/x{number}/db: "
            f"connection to 10.0.0.{number} failed after {number}.5 s, id {number:032x}\n"
        ).signature

    assert len({one(number) for number in range(9)}) == 1
    assert one(1) != found("psycopg2.OperationalError: no route\n").signature


def test_signatures_and_errors_have_a_maximum_size():
    error = found("error: " + "ü" * 5000 + "\n")

    assert len(error.signature.encode()) <= MAX_SIGNATURE
    assert len(error.text) <= 400
    assert found(b"x" * (3 << 20) + b" error: late\n").text


def test_text_of_commands_loses_its_escapes_and_invisible_characters():
    assert clean("\x1b[31mred\x1b[0m\x1b]0;title\x07\u202e\u200b\U000e0041ok\x00\r\n") == "redok\n"
    assert clean("a\tb") == "a   b"
    assert signature_of("\terror  in   /a/b/c.py:12") == "error in <dir>/c.py:<n>"


def test_long_output_without_an_error_is_searched_fast():
    data = (b"epoch 17 loss 0.125 accuracy 0.97\n" * 30_000)[: 1 << 20]
    finder = ErrorFinder()
    start = time.process_time()

    for _ in range(16):
        finder.feed("stdout", data)

    assert time.process_time() - start < 2.0
    assert finder.result().text.startswith("epoch 17")
