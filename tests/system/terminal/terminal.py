"""A program in a real pseudo terminal, and the content of its screen."""

import os
import shlex
import sys
from pathlib import Path

import pexpect
import pyte

TESTS = Path(__file__).parents[2]


class Session:
    """A script of this folder in a terminal of 60 x 12, with a shell around it if asked."""

    def __init__(self, script: str, *words: str, under_bash: bool = False, **environ: str) -> None:
        self.screen = pyte.Screen(60, 12)
        self._stream = pyte.ByteStream(self.screen)
        path = os.pathsep.join([str(TESTS), *filter(None, sys.path)])
        command = [sys.executable, str(Path(__file__).with_name(script)), *words]
        program = ["bash", "--norc", "--noprofile"] if under_bash else command
        self.child = pexpect.spawn(
            program[0],
            program[1:],
            env={
                **os.environ,
                "TERM": "xterm-256color",
                "PYTHONPATH": path,
                "PS1": "# ",
                **environ,
            },
            dimensions=(12, 60),
            timeout=20,
        )
        if under_bash:
            self.child.sendline(shlex.join(command))

    def wait_for(self, text: str) -> None:
        """Read until a text is visible."""
        while text not in "\n".join(self.screen.display):
            self._stream.feed(self.child.read_nonblocking(65536))

    def wait_without(self, text: str) -> None:
        """Read until a text is no longer visible."""
        while text in "\n".join(self.screen.display):
            self._stream.feed(self.child.read_nonblocking(65536))

    def end(self) -> int:
        """Read to the end; return the exit code."""
        while self.child.isalive() or not self.child.flag_eof:
            try:
                self._stream.feed(self.child.read_nonblocking(65536))
            except pexpect.EOF:
                break
        self.child.close()
        return int(self.child.exitstatus)

    def lines(self) -> list[str]:
        return [line.rstrip() for line in self.screen.display if line.strip()]
