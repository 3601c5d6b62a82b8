"""The messages of a debug shell's terminal."""

import pytest
from tests.support.golden import FILES, REMEDY, read

from conducto_core.debug.terminal import (
    MAX_INPUT,
    MAX_SHELL_FRAME,
    NumberedInput,
    NumberedOutput,
    RelayedShellFrame,
    RelayedShellInput,
    ShellNote,
    TerminalInput,
    encoded,
    read_frame,
    read_text,
)


def test_the_web_app_has_the_same_protocol() -> None:
    assert FILES["terminal.json"]() == read("terminal.json"), REMEDY


def test_frames_are_input_or_a_note() -> None:
    assert read_frame(b"ls\r") == b"ls\r"
    assert read_frame('{"lines": 3, "columns": 4}') == ShellNote(lines=3, columns=4)


@pytest.mark.parametrize("frame", [b"x" * (MAX_SHELL_FRAME + 1), "x", '{"lines": 0}'])
def test_other_frames_are_rejected(frame: str | bytes) -> None:
    with pytest.raises(ValueError, match=r"ShellNote|a frame may have"):
        read_frame(frame)


def test_all_input_arrives_in_order_however_late_it_is_acknowledged() -> None:
    sent: list[RelayedShellInput] = []
    line = NumberedInput(sent.append)
    typed = bytes(range(256)) * (6 * MAX_INPUT // 256)
    line.typed(typed)
    assert line.unsent == len(typed)

    line.start()
    for _ in range(6):
        line.acknowledge()

    assert line.unsent == 0
    assert b"".join(one.data for one in sent) == typed
    assert [one.seq for one in sent] == list(range(1, 7))
    assert all(read_text(one.model_dump_json()) == one for one in sent)


def test_the_end_of_the_input_is_a_key() -> None:
    sent: list[RelayedShellInput] = []
    line = NumberedInput(sent.append)
    line.start()

    line.typed(b"")

    assert [one.data for one in sent] == [b"\x04"]


def test_output_that_arrives_again_is_ignored() -> None:
    output = NumberedOutput()
    frames = [
        RelayedShellFrame(terminal="output", seq=seq, b64=encoded(b"%d" % seq))
        for seq in (0, 1, 0, 1, 2)
    ]

    assert [output.read(frame) for frame in frames] == [b"0", b"1", b"", b"", b"2"]


@pytest.mark.parametrize("text", ["é", "a", "YQ==YQ=="])
def test_bytes_that_are_not_base64_are_rejected(text: str) -> None:
    with pytest.raises(ValueError, match=r"not base64|ASCII"):
        _ = TerminalInput(b64=text).data
