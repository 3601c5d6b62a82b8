"""``conducto mcp`` as a process: over pipes, against an agent."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

CONDUCTO = [sys.executable, "-m", "conducto_cli.main"]


class Session:
    """A session of ``conducto mcp``."""

    def __init__(self, home: Path, *options: str) -> None:
        env = {"HOME": str(home), "PATH": os.environ["PATH"]}
        words = ["conducto", "mcp", "--local", *options]
        self.process = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env
        )
        self.answers: queue.Queue[Any] = queue.Queue()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        self._number = 0

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.answers.put(json.loads(line))
        self.process.stdout.close()

    def raw(self, data: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(data + b"\n")
        self.process.stdin.flush()

    def send(self, method: str, **params: Any) -> int:
        self._number += 1
        message = {"jsonrpc": "2.0", "id": self._number, "method": method, "params": params}
        self.raw(json.dumps(message).encode())
        return self._number

    def rpc(self, method: str, **params: Any) -> Any:
        self.send(method, **params)
        return self.answers.get(timeout=60)

    def call(self, tool: str, **arguments: Any) -> str:
        answer = self.rpc("tools/call", name=tool, arguments=arguments)
        return str(answer["result"]["content"][0]["text"])

    def end(self) -> int:
        assert self.process.stdin is not None
        self.process.stdin.close()
        code = self.process.wait(60)
        self._reader.join(60)
        return code
