"""One client of a debug shell's terminal, step by step: the web app must send the same messages."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from conducto_core.debug.terminal import (
    ACKNOWLEDGE_BYTES,
    KEEP_ALIVE_SECONDS,
    MAX_INPUT,
    MAX_UNACKED,
    NumberedInput,
    NumberedOutput,
    RelayedShellFrame,
    RelayedShellInput,
    encoded,
)

_STEPS: tuple[tuple[str, Any], ...] = (
    ("keep_alive", None),
    ("type", ["a", 1]),
    ("note", {"lines": 3, "columns": 4}),
    ("start", None),
    *(("type", [key, 1]) for key in "bcdefg"),
    ("note", {"taken": 7}),
    ("keep_alive", None),
    ("acknowledge", None),
    ("acknowledge", None),
    ("type", ["x", 2 * MAX_INPUT + 1]),
    *(("acknowledge", None) for _ in range(6)),
    ("note", {"taken": 8}),
    ("acknowledge", None),
    ("keep_alive", None),
)


def terminal_cases() -> dict[str, Any]:
    """Return the limits of the protocol, and the messages of a client and of the cloud."""
    return {
        "limits": {
            "ACKNOWLEDGE_BYTES": ACKNOWLEDGE_BYTES,
            "KEEP_ALIVE_SECONDS": KEEP_ALIVE_SECONDS,
            "MAX_INPUT": MAX_INPUT,
            "MAX_UNACKED": MAX_UNACKED,
        },
        "input": list(_input()),
        "output": list(_output()),
    }


def _input() -> Iterator[dict[str, Any]]:
    sent: list[RelayedShellInput] = []
    line = NumberedInput(sent.append)
    for name, value in _STEPS:
        match name:
            case "type":
                line.typed(value[0].encode() * value[1])
            case "note":
                line.send_facts(**value)
            case _:
                getattr(line, name)()
        messages = [_shortened(one) for one in sent]
        sent.clear()
        yield {"step": name, "value": value, "messages": messages}


def _shortened(message: RelayedShellInput) -> dict[str, Any]:
    """Return a message with the beginning of its input, and the length of all of it."""
    fields = message.model_dump(mode="json", exclude_defaults=True)
    fields["b64"] = [message.b64[:8], len(message.b64)]
    return {"terminal": message.terminal, **fields}


def _output() -> Iterator[dict[str, Any]]:
    output, half = NumberedOutput(), ACKNOWLEDGE_BYTES // 2
    for seq in (0, 1, 1, 0, 2, 3, 4):
        frame = RelayedShellFrame(terminal="output", seq=seq, b64=encoded(b"y"))
        is_new = output.read(frame) == b"y"
        taken = output.processed(half) if is_new else None
        yield {"frame": frame.model_dump(mode="json"), "isNew": is_new, "taken": taken}
