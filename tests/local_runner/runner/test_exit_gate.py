"""Threads that are not joined do nothing dangerous once the main thread leaves."""

import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping

from conducto_cli.app.exit import ExitGate
from conducto_client import Client
from conducto_client.transport.port import Reply
from conducto_core.run.model.records import PipelineRecord
from conducto_core.run.model.requests import EventBatch
from conducto_core.run.views import stored_summary

SUMMARY = stored_summary(PipelineRecord(id="abc-def", title=""))
FRAME = EventBatch(changes=(), counts={}, images=(), pipeline=SUMMARY).model_dump_json().encode()


class Endless:
    """A transport whose stream always has another frame."""

    def request(self, *_: object, **__: object) -> Reply:
        raise AssertionError("nothing is asked for")

    def stream(
        self, path: str, query: Mapping[str, str], *, heartbeat: float | None = None
    ) -> Iterator[bytes]:
        while True:
            yield FRAME

    def close(self) -> None:
        pass


def test_a_thread_parses_no_event_once_the_gate_is_closed() -> None:
    client, seen = Client(Endless()), list[EventBatch]()
    client.gate = gate = ExitGate()

    def read() -> None:
        for batch in client.events("abc-def"):
            seen.append(batch)

    threading.Thread(target=read, daemon=True).start()
    while not seen:
        time.sleep(0.001)

    assert gate.close()
    time.sleep(0.01)  # one that was parsed before is put down
    before = len(seen)
    time.sleep(0.05)
    assert len(seen) == before


PROGRAM = """
import gc, sys, threading, time
from conducto_cli.app.exit import ExitGate
from conducto_client import Client
from local_runner.runner.test_exit_gate import Endless

class Cycle:
    def __del__(self):
        for _ in range(300):
            pass  # Python code, in which the thread may lose the interpreter

def read():
    for batch in client.events("abc-def"):
        for _ in range(50):
            cycle = Cycle()
            cycle.me = cycle

client = Client(Endless())
client.gate = gate = ExitGate()
gc.set_threshold(20, 2, 2)
threading.Thread(target=read, daemon=True).start()
time.sleep(0.05)
if "open" not in sys.argv:
    gate.close()
"""


def test_process_with_an_event_thread_exits_cleanly() -> None:
    """Without the gate, some of these processes abort."""
    done = [
        subprocess.run(
            [sys.executable, "-c", PROGRAM], env={"PYTHONPATH": ":".join(sys.path)}, check=False
        )
        for _ in range(2)
    ]

    assert [one.returncode for one in done] == [0, 0]
