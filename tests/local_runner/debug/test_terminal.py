"""The terminal of a person."""

from __future__ import annotations

import os
import pty

from conducto_local.debug.terminal import Terminal


def test_keys_that_were_typed_before_a_shell_opened_are_kept() -> None:
    keyboard, terminal = pty.openpty()
    try:
        os.write(keyboard, b"echo here\n")
        with Terminal(stdin=terminal, stdout=terminal).raw():
            os.set_blocking(terminal, False)
            assert os.read(terminal, 100) == b"echo here\n"
    finally:
        os.close(keyboard)
        os.close(terminal)
