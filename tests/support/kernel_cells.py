"""Runs cells in a Jupyter kernel of this Python and prints their messages as JSON.

Usage: ``python kernel_cells.py < CELLS``, where CELLS is a JSON list of texts. A cell that prints
"interrupt me" is interrupted then.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from jupyter_client import KernelManager  # type: ignore[import-not-found]

_TIMEOUT = 120


def run(cells: list[str]) -> list[list[dict[str, Any]]]:
    """Return ``{type, content}`` of the messages of each cell, until the kernel is idle."""
    manager = KernelManager(kernel_name="python3")
    manager.kernel_cmd = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    manager.start_kernel()
    client = manager.client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=_TIMEOUT)
        return [_messages(manager, client, cell) for cell in cells]
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=False)


def _messages(manager: Any, client: Any, cell: str) -> list[dict[str, Any]]:
    request = client.execute(cell)
    found: list[dict[str, Any]] = []
    while True:
        message = client.get_iopub_msg(timeout=_TIMEOUT)
        content, kind = message["content"], message["msg_type"]
        if message["parent_header"].get("msg_id") != request:
            found.append({"type": kind, "content": content, "late": True})
            continue
        if kind == "status" and content["execution_state"] == "idle":
            return found
        found.append({"type": kind, "content": content})
        if kind == "stream" and "interrupt me" in content["text"]:
            manager.interrupt_kernel()


if __name__ == "__main__":
    json.dump(run(json.load(sys.stdin)), sys.stdout)
