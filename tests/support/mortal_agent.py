"""An agent that kills itself with SIGKILL before one of its writes.

A write is a commit to its store, or a file that replaces another one. Arguments: the number of the
write from 1, the file that gets the agent's process id at its death, and the arguments of the
interpreter that start the agent.
"""

from __future__ import annotations

import os
import runpy
import signal
import sqlite3
import sys
from functools import partial
from itertools import count
from pathlib import Path
from threading import Lock
from typing import Any

_writes = count(1)
_lock = Lock()


def before_write(number: int, mark: Path) -> None:
    with _lock:
        if next(_writes) == number:
            mark.write_text(str(os.getpid()))
            os.kill(os.getpid(), signal.SIGKILL)
            signal.pause()


def main() -> None:
    number, mark, option, code, *sys.argv[1:] = sys.argv[1:]
    write = partial(before_write, int(number), Path(mark))

    class Mortal(sqlite3.Connection):
        def execute(self, statement: str, *parameters: Any) -> sqlite3.Cursor:
            if statement == "COMMIT":
                write()
            return super().execute(statement, *parameters)

        def __exit__(self, *error: object) -> Any:
            write()
            return super().__exit__(*error)

    sqlite3.connect = partial(sqlite3.connect, factory=Mortal)
    sys.addaudithook(lambda event, _: write() if event == "os.rename" else None)
    if option == "-m":
        runpy.run_module(code, run_name="__main__", alter_sys=True)
    else:
        exec(code, {"__name__": "__main__"})


if __name__ == "__main__":
    main()
