"""A native function does the same in a fork of a template as in a new interpreter.

Each test runs in a process namespace of its own, with every supported Python of this machine.
"""

# ruff: noqa: E501, SIM905
# One case a line.

from __future__ import annotations

import contextlib
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from conducto_core.command.server import FORKED
from support.command_server import CommandServer, Result, namespaces_available
from support.local import wait_for
from support.old_python import find_pythons

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.skipif(
    not namespaces_available(), reason="this machine does not allow process namespaces"
)

JOB = r"""
import os, sys, random, atexit, logging, signal, threading, time
print("loaded", file=sys.stderr)
atexit.register(lambda: print("at exit"))
LEFT = []
class Final:
    def __del__(self):
        print("deleted")
def leak(x: int = 0) -> str:
    LEFT.append(x); os.environ["LEAK"] = "1"; os.chdir("/"); os.umask(0o77)
    return str(LEFT)
def state() -> str:
    return f"{LEFT} {os.environ.get('LEAK')} {os.getcwd()} {os.umask(18):o}"
def words(a: str, b: int = 1) -> str:
    return repr((sys.argv, a, b, __name__, __file__, getattr(sys, "orig_argv", [])[2:]))
def variables() -> str:
    names = set(os.environ) - {"CONDUCTO_ISOLATE"}
    return str(sorted((name, os.environ[name]) for name in names))
def boom() -> None:
    raise ValueError("broken")
def code(n: int = 3) -> None:
    sys.exit(n)
def text() -> None:
    sys.exit("a message")
def hard() -> None:
    print("not flushed"); os._exit(7)
def segv() -> None:
    signal.signal(signal.SIGSEGV, signal.SIG_DFL); os.kill(os.getpid(), signal.SIGSEGV)
def kbd() -> None:
    raise KeyboardInterrupt
def openfile() -> None:
    global F
    F = open("out.txt", "w"); F.write("kept")
def deleted() -> None:
    global D
    D = Final(); LEFT.append(Final())
def cycle() -> None:
    import gc
    gc.disable()  # its time is not the same
    a = Final(); a.me = a
def thread() -> None:
    def late():
        time.sleep(0.05); print("from a thread")
    threading.Thread(target=late).start()
def daemon() -> None:
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            time.sleep(100)
        os._exit(0)
    os.wait()
def mp() -> str:
    import multiprocessing
    with multiprocessing.get_context("fork").Pool(2) as pool:
        return str(pool.map(abs, [-1, -2]))
def sub() -> str:
    import subprocess
    return subprocess.run(["sh", "-c", "echo $NODE; exit 3"], stdout=-1).stdout.decode()
def std() -> str:
    return repr((sys.stdin.read(), sys.stdin.isatty(), os.read(0, 1), sys.stdout.seekable(),
                 sys.stdout.isatty(), sys.stdout.encoding, sys.stdout.line_buffering))
def sig() -> str:
    return str([(n, str(signal.getsignal(n))) for n in (2, 13, 15, 17)]) + str(signal.pthread_sigmask(0, []))
def nonblock() -> None:
    os.set_blocking(1, False); print("x" * 10)
def much() -> None:
    print("x" * 1000000)
def fds() -> str:
    return str(len(os.listdir("/proc/self/fd")))
def nochild() -> str:
    try:
        os.wait()
    except ChildProcessError:
        return "no child"
def broken() -> None:
    sys.stdout.close()
async def waits() -> str:
    import asyncio
    await asyncio.sleep(0)
    return "waited"
def logs() -> None:
    logging.warning("a warning")
def warns() -> None:
    import warnings
    warnings.warn("careful")
"""
CALLS = (
    "leak state boom code text hard segv kbd openfile deleted cycle thread daemon mp sub std sig nonblock "
    "much fds nochild broken waits logs warns variables state nope --help"
).split()

NUMPY = "import numpy as np\n"
#: ``{name: (source, the reason for a new interpreter or FORKED)}``
HAZARDS = {
    "thread": ("import threading, time\nthreading.Thread(target=time.sleep, args=(99,), daemon=True).start()", "starts a thread"),
    "process": ("import subprocess\nsubprocess.run(['true'])", "starts a process"),
    "fork": ("import os\nif os.fork() == 0:\n    os._exit(0)\nos.wait()", "starts a process"),
    "socket": ("import socket\ns = socket.socket()", "open"),
    "connection": ("import socket\ns = socket.socket()\ntry:\n    s.connect(('127.0.0.1', 9))\nexcept OSError:\n    pass\ns.close()", "opens a connection"),
    "sqlite": ("import sqlite3\nc = sqlite3.connect(':memory:')", "opens a database"),
    "loop": ("import asyncio\nl = asyncio.new_event_loop()", "open"),
    "file": ("f = open('config.txt')", "open"),
    "writes": ("open('log.txt', 'a').close()", "writes"),
    "removes": ("import os\ntry:\n    os.remove('none.txt')\nexcept OSError:\n    pass", "removes a file"),
    "chdir": ("import os\nos.chdir('/')", "changes the working directory"),
    "alarm": ("import signal\nsignal.setitimer(signal.ITIMER_REAL, 60)", "timer"),
    "trace": ("import sys\nsys.settrace(lambda *a: None)", "tracer"),
    "now": ("import datetime\nT = datetime.datetime.now()", "calls now()"),
    "helper": ("import time\ndef h():\n    return time.time()\nT = h()", "calls time()"),
    "method": ("import time\nclass C:\n    def __init__(self):\n        self.t = time.time()\nT = C()", "calls time()"),
    "decorator": ("import time\ndef timed(f):\n    f.t = time.time()\n    return f\n@timed\ndef g():\n    pass", "calls time()"),
    "token": ("import secrets\nR = secrets.token_hex(4)", "calls token_hex()"),
    "rand": ("import random\nR = random.random()", "calls random()"),
    "exists": ("import os\nE = os.path.exists('none.txt')", "calls exists()"),
    "argv": ("import sys\nD = '--x' in sys.argv", "sys.argv"),
    "stdin": ("import sys\nD = sys.stdin.read()", "sys.stdin"),
    "exit": ("import sys\nsys.exit(4)", "the import fails (SystemExit)"),
    "error": ("1/0", "the import fails"),
    "missing": ("import no_such_module", "the import fails"),
    "hardexit": ("import os\nos._exit(3)", "the import ends the process"),
    "prints": ("print('x' * 100000)", "prints more"),
    "environment": ("import os\nE = dict(os.environ)", "whole environment"),
    "nodes": ("import os\nE = os.environ.get('NODE')\ndef draw() -> str:\n    return str(E)", "variable NODE"),
    "own": ("import helper\ndef draw() -> str:\n    return helper.X", FORKED),
    "envset": ("import os\nos.environ['SET'] = 'by import'\nos.environ.pop('DROP', 0)\ndef draw() -> str:\n    return os.environ['SET'] + str(os.environ.get('DROP'))", FORKED),
    "config": ("with open('config.txt') as f:\n    C = f.read()\ndef draw() -> str:\n    return C", FORKED),
    "seeded": ("import random\nrandom.seed(1)\nR = random.random()\ndef draw() -> str:\n    return f'{R} {random.random()}'", FORKED),
    "sigterm": ("import signal, sys\nsignal.signal(signal.SIGTERM, lambda *a: sys.exit(9))\ndef draw() -> None:\n    import os, time\n    os.kill(os.getpid(), 15)\n    time.sleep(5)", FORKED),
    "logging": ("import logging, sys\nlogging.basicConfig(level=20, format='%(message)s')\nlogging.info('at import')\ndef draw() -> None:\n    logging.info('in call')", FORKED),
    "conducto": ("import conducto as co\nimage = co.Image('python:3.11-slim', copy_dir='.')\ndef draw() -> str:\n    return image.name or 'x'\ndef pipeline() -> co.Serial:\n    return co.Exec(draw)\nif __name__ == '__main__':\n    co.main(default=pipeline)", FORKED),
    "main": ("import conducto as co\ndef draw() -> str:\n    return 'x'\nco.main()", FORKED),
    "collector": ("import gc\ngc.disable()\ndef draw() -> str:\n    return str(gc.isenabled())", FORKED),
    "pathlib": ("import pathlib, dataclasses, json, re, typing\nHERE = pathlib.Path(__file__).resolve().parent\ndef draw() -> str:\n    return str(HERE)", FORKED),
}  # fmt: skip
NUMPY_HAZARDS = {
    "rng": (f"{NUMPY}R = np.random.default_rng()", "without a seed"),
    "npseeded": (f"{NUMPY}np.random.seed(1)\ndef draw() -> str:\n    return str(np.random.rand())", FORKED),
    "rngseeded": (f"{NUMPY}R = np.random.default_rng(1)\ndef draw() -> str:\n    return str(R.random())", FORKED),
    "blas": (f"{NUMPY}A = np.ones((300, 300)) @ np.ones((300, 300))\ndef draw() -> str:\n    return str((A @ A).sum())", FORKED),
}  # fmt: skip
DRAW = "\ndef draw() -> str:\n    return 'ok'\n"


def _pythons(*quick: str) -> list[object]:
    """Return the versions of this machine; those not named run with the long tests only."""
    ours = "{}.{}".format(*sys.version_info)
    return [
        pytest.param(version, marks=[] if version in {*quick, ours} else pytest.mark.long)
        for version in find_pythons()
    ]


@pytest.fixture
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[CommandServer]:
    python = find_pythons().get(getattr(request, "param", ""), sys.executable)
    with CommandServer(tmp_path, python) as started:
        started.write("job.py", JOB)
        started.write("config.txt", "one")
        started.write("helper.py", "X = 'v1'\n")
        yield started


def warm(server: CommandServer, file: str = "job.py", function: str = "state") -> None:
    """Call a function until a template runs it."""
    for _ in range(2):
        last = server.call(f"conducto {file} {function}")
    assert last.interpreter == FORKED


def shown(result: Result) -> tuple[object, ...]:
    """Return a result without addresses and without the frames of Conducto in a traceback."""
    lines, ours = [], False
    for line in re.sub("0x[0-9a-f]+", "0x", result.err).splitlines():
        if line.startswith("  File"):
            ours = "/conducto" in line
        if not (ours and line.startswith("  ")) and "Segmentation fault" not in line:
            lines.append(line)
    return result.out, "\n".join(lines), result.code, result.files


@pytest.mark.parametrize("server", _pythons("3.8"), indirect=True)
def test_calls_in_a_fork_equal_calls_in_a_new_interpreter(server: CommandServer) -> None:
    warm(server)
    different = []
    for name in (*CALLS, "words '--a=x y' --b=2"):
        script = f"conducto job.py {name}"
        new, fork = server.run(script, NODE=name), server.call(script, NODE=name)
        if shown(new) != shown(fork) or (fork.interpreter != FORKED and name != "--help"):
            different.append((name, new, fork))

    assert not different, "\n".join(map(str, different))


@pytest.mark.parametrize("server", _pythons(), indirect=True)
def test_hazardous_imports_get_a_new_interpreter(server: CommandServer) -> None:
    check_imports(server, HAZARDS)


@pytest.mark.long
@pytest.mark.parametrize("server", find_pythons(), indirect=True)
def test_imports_of_numpy_share_only_seeds_that_are_set(server: CommandServer) -> None:
    if server.run("python -c 'import numpy'").code != 0:
        pytest.skip("this Python has no numpy")
    check_imports(server, NUMPY_HAZARDS)


def check_imports(server: CommandServer, cases: dict[str, tuple[str, str]]) -> None:
    wrong = []
    for name, (source, expected) in cases.items():
        server.write(f"t_{name}.py", source + ("" if "draw()" in source else DRAW))
        new, other = (server.call(f"conducto t_{name}.py draw", NODE=name) for _ in range(2))
        if new != other or new.interpreter != "first call" or expected not in other.interpreter:
            wrong.append((name, new, other))

    assert not wrong, "\n".join(map(str, wrong))


SECRETS = r'''
import os, re
MARK = "TOKEN" + "-[0-9a-f]{16}"  # not what it finds
def use() -> int:
    return len(os.environ["TOKEN"]) + len(os.environ["ALSO"])
def find() -> str:
    """Return whether memory, environment and open files of this process have a token."""
    pattern, found = re.compile(MARK.encode()), set()
    with open("/proc/self/environ", "rb") as file:
        found.update("environ" for _ in pattern.finditer(file.read()))
    with open("/proc/self/maps") as maps, open("/proc/self/mem", "rb", 0) as memory:
        for line in maps.read().splitlines():
            span, rights = line.split()[:2]
            if "r" in rights and "[v" not in line:
                begin, end = (int(part, 16) for part in span.split("-"))
                try:
                    memory.seek(begin)
                    found.update("memory" for _ in pattern.finditer(memory.read(end - begin)))
                except (OSError, OverflowError, ValueError):
                    pass
    return str(sorted(found))
'''


def test_fork_keeps_the_result_of_the_function(server: CommandServer) -> None:
    warm(server)
    calls = [server.call(f"conducto job.py words --a={number}") for number in range(2)]

    assert [call.interpreter for call in calls] == [FORKED] * 2
    assert [b"'%d'" % n in call.files["result"] for n, call in enumerate(calls)] == [True, True]
    assert server.call("conducto job.py openfile").files == {}


def test_fork_finds_no_secret_of_another_call(server: CommandServer) -> None:
    secret = {"TOKEN": f"TOKEN-{os.urandom(8).hex()}"}
    server.write("secrets_job.py", SECRETS)
    server.call("conducto secrets_job.py use", **secret, ALSO="1")
    uses = [server.call("conducto secrets_job.py use", **secret, ALSO=str(n)) for n in range(3)]

    own = server.call("conducto secrets_job.py find", **secret)
    others = server.call("conducto secrets_job.py find", OTHER="1")

    assert [use.interpreter for use in uses] == [FORKED] * 3
    assert (own.out, own.interpreter) == ("\"['memory']\"\n", FORKED)
    assert (others.out, others.interpreter) == ("'[]'\n", FORKED)


def test_python_of_another_c_library_gets_new_interpreters(server: CommandServer) -> None:
    # musl knows no version of glibc, so its Python raises this error.
    text = "import os\ndef confstr(name):\n    raise ValueError(name)\nos.confstr = confstr\n"
    (server.folder / "lib" / "site-packages" / "sitecustomize.py").write_text(text)
    server.write("draws.py", DRAW)

    calls = [server.call("conducto draws.py draw") for _ in range(3)]

    assert calls[2].interpreter == "the C library is not glibc, the only one that is tested"
    assert {call.out for call in calls} == {"'ok'\n"}


def test_import_that_reads_a_variable_of_the_node_gets_no_template(server: CommandServer) -> None:
    text = "import os\nT = os.environ.get('TOKEN')\nopen('log', 'a').write('x')\n" + DRAW
    server.write("reads.py", text)
    calls = [server.call("conducto reads.py draw", TOKEN="a") for _ in range(3)]

    assert calls[2].interpreter == (
        f"the import reads the variable TOKEN, which the node sets, at {server.work / 'reads.py'}:2"
    )
    assert server.run("cat log").out == "xxx"


def test_call_with_another_value_of_a_variable_gets_a_new_interpreter(
    server: CommandServer,
) -> None:
    server.write(
        "reads.py", "import os\nM = os.environ.get('M')\ndef draw() -> str:\n    return str(M)"
    )
    warm(server, "reads.py", "draw")

    other = server.call("conducto reads.py draw", M="b")
    same = server.call("conducto reads.py draw")

    assert (other.out, other.interpreter) == (
        "'b'\n",
        "the import reads the variable M, which the node sets",
    )
    assert (same.out, same.interpreter) == ("'None'\n", FORKED)


@pytest.mark.parametrize("name", ["config.txt", "helper.py", "job2.py"])
def test_changed_file_is_imported_again(server: CommandServer, name: str) -> None:
    text = "import helper\nwith open('config.txt') as f:\n    C = f.read()\nV = 'one'\n"
    text += "def draw() -> str:\n    return C + helper.X + V\n"
    server.write("job2.py", text)
    warm(server, "job2.py", "draw")
    replaced = (server.work / name).read_text().replace("one", "the two").replace("v1", "two")
    server.write(name, replaced)
    calls = [server.call("conducto job2.py draw") for _ in range(3)]

    assert all("two" in call.out for call in calls)
    assert calls[0].interpreter.endswith(f"{name} has changed")
    assert [call.interpreter for call in calls[1:]] == [FORKED] * 2


def test_file_that_always_changes_gets_no_further_template(
    server: CommandServer,
) -> None:
    server.write("job2.py", "with open('config.txt') as f:\n    C = f.read()\n" + DRAW)
    for number in range(12):
        server.write("config.txt", str(number))
        last = server.call("conducto job2.py draw")
        server.write("config.txt", f"{number} too")

    assert last.interpreter.endswith("config.txt has changed")


SLOW = r"""
import os, signal, time
with open("slow.txt") as file:
    if file.read() == "yes":
        time.sleep(60)
def slow() -> None:
    print("begun", flush=True)
    time.sleep(60)
def kill_all() -> None:
    os.kill(-1, signal.SIGTERM); time.sleep(0.01); print("survived")
def kill_hard() -> None:
    os.kill(-1, signal.SIGKILL)
def kill_parent() -> None:
    os.kill(os.getppid(), signal.SIGKILL)
    print("begun", flush=True)
    time.sleep(60)
def leave() -> None:
    for _ in range(3):
        if os.fork() == 0:
            os.setsid()
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            time.sleep(60)
def quick() -> str:
    return "quick"
"""


@pytest.fixture
def slow(server: CommandServer) -> CommandServer:
    server.write("slow.txt", "no")
    server.write("slow.py", SLOW)
    warm(server, "slow.py", "quick")
    return server


@pytest.mark.parametrize(("name", "code"), [("TERM", 143), ("KILL", 137)])
def test_forked_function_is_stopped_by_a_signal(slow: CommandServer, name: str, code: int) -> None:
    slow.start("conducto slow.py slow", {"CONDUCTO_ISOLATE": "0"})
    slow.until("begun")
    slow.signal(name)

    assert (slow.finish().code, slow.call("conducto slow.py quick").interpreter) == (code, FORKED)


@pytest.mark.parametrize(
    ("function", "code"),
    [("kill_all", 0), ("kill_hard", 137), ("kill_parent", 137), ("leave", 0)],
)
def test_calls_continue_after_a_function_that_signals_or_leaves_processes(
    slow: CommandServer, function: str, code: int
) -> None:
    result = slow.call(f"conducto slow.py {function}")
    # The command server and its watch, the template and its next fork, the shell.
    wait_for(lambda: int(slow.run("set -- /proc/[0-9]*; echo $#").out) <= 5, 60)
    after = slow.call("conducto slow.py quick")

    assert (result.code, result.interpreter) == (code, FORKED)
    assert (after.out, after.interpreter) == ("'quick'\n", FORKED)


def test_calls_continue_after_a_command_that_kills_all_processes(slow: CommandServer) -> None:
    killed = slow.run("sleep 60 & setsid sleep 60 & kill -9 -1")
    after = slow.call("conducto slow.py quick")

    assert killed.code in {0, 137}
    assert (after.out, after.interpreter) == ("'quick'\n", FORKED)


def test_calls_continue_after_a_command_that_stops_all_processes(slow: CommandServer) -> None:
    slow.run("kill -STOP -1")
    after = slow.call("conducto slow.py quick")

    assert (after.out, after.interpreter) == ("'quick'\n", FORKED)


def test_call_starts_in_another_fork_after_a_command_killed_the_next_one(
    slow: CommandServer,
) -> None:
    # The template is the parent of its next fork.
    killed = slow.run(
        "for p in /proc/[0-9]*; do set -- $(cat $p/stat); "
        "if [ $4 -gt 1 ] && [ $4 != $$ ]; then kill -9 $1; fi; done"
    )
    after = slow.call("conducto slow.py quick")

    assert killed.code == 0
    assert (after.out, after.interpreter) == ("'quick'\n", FORKED)


def test_template_survives_other_commands(slow: CommandServer) -> None:
    first = slow.call("conducto slow.py quick")
    slow.run("sleep 60 & true")
    slow.run("conducto slow.py quick")
    slow.write("third.py", DRAW)
    slow.call("conducto third.py draw")

    assert slow.call("conducto slow.py quick").interpreter == first.interpreter == FORKED


@pytest.mark.parametrize(
    ("config", "env", "reason"), [("one", {"M": "b"}, "variable M"), ("two", {}, "has changed")]
)
def test_call_that_the_template_refuses_is_stopped_by_a_signal(
    server: CommandServer, config: str, env: dict[str, str], reason: str
) -> None:
    source = (
        "import os, time\nM = os.environ.get('M')\nwith open('config.txt') as f:\n    C = f.read()"
    )
    source += "\ndef slow(s: int) -> None:\n    print('begun', flush=True)\n    time.sleep(s)\n"
    server.write("job2.py", source)
    warm(server, "job2.py", "slow 0")
    server.write("config.txt", config)
    server.start("conducto job2.py slow 10", {**env, "CONDUCTO_ISOLATE": "0"})
    server.until("begun")
    server.signal("TERM")
    result = server.finish()

    assert (result.code, reason in result.interpreter) == (143, True)


def test_call_that_is_stopped_during_the_import_of_a_template_does_not_run(
    server: CommandServer,
) -> None:
    server.write("slow.txt", "no")
    server.write("slow.py", SLOW)
    server.call("conducto slow.py quick")
    server.write("slow.txt", "yes")
    server.start("conducto slow.py quick", {"CONDUCTO_ISOLATE": "0"})
    mark = str(server.folder / "bin").encode()
    wait_for(lambda: any(mark in words for words in _command_lines()))
    server.signal("TERM")
    result = server.finish()

    assert (result.code, result.out) == (143, "")
    # The command server and its watch, the shell.
    assert server.run("set -- /proc/[0-9]*; echo $#").out == "3\n"


def test_files_of_a_command_do_not_reach_the_next_where_removal_fails(
    server: CommandServer,
) -> None:
    rm = server.folder / "bin" / "rm"
    rm.write_text("#!/bin/sh\nexit 1\n")
    rm.chmod(0o755)
    server.start('cp "$CONDUCTO_RUN_DIR/inputs" "$CONDUCTO_RUN_DIR/result"', {}, '{"/a": 1}')
    first = server.finish()
    read = "from conducto import results as r; print(r._inputs()); r.metric('m', 1)"
    second = server.run(f'python -c "{read}"')
    server.run('ln -s "$PWD/config.txt" "$CONDUCTO_RUN_DIR/artifacts"')
    last = server.run('cat config.txt "$CONDUCTO_RUN_DIR/result"')

    assert first.files == {"result": b'{"/a": 1}'}
    assert (second.out, second.err, list(second.files)) == ("{}\n", "", ["metrics"])
    assert (last.out, last.files) == ("one", {})


def _command_lines() -> Iterator[bytes]:
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            yield path.read_bytes()


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import os\nM = os.environ.get('MODEL')", "calls in a container share one import, unless"),
        (
            "open('log', 'w').close()",
            "each call starts a new interpreter: the import writes log, at",
        ),
        ("1/0", "each call starts a new interpreter: the import fails"),
    ],
)
def test_explain_prints_why_a_file_is_not_shared(
    server: CommandServer, source: str, expected: str
) -> None:
    server.write("job2.py", source)
    result = server.run("conducto job2.py --explain")

    assert (result.err, result.code) == ("", 0)
    assert result.out.startswith(f"job2.py: {expected}")
    assert server.run("conducto none.py --explain").code == 2
