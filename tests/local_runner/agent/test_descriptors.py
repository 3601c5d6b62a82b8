"""The agent's open files: in a process of its own, since a limit that was lowered stays so."""

import subprocess
import sys
import textwrap
from pathlib import Path

PROGRAM = """
import errno, os, resource, sys
from pathlib import Path
from conducto_local.agent import process as descriptors
from conducto_local.logs.store import LogDirectory

resource.setrlimit(resource.RLIMIT_NOFILE, (64, 128))
assert descriptors.raise_limit() == 128
descriptors.OUTPUT.fill()
taken = []
try:
    while True:
        taken.append(os.open(os.devnull, os.O_RDONLY))
except OSError as error:
    assert error.errno == errno.EMFILE
logs = LogDirectory(Path(sys.argv[1]))
writers = [logs.writer(f"/{n}", 1) for n in range(20)]
for writer in writers:
    writer.write("stdout", b"said")
    writer.write("stderr", b"said, too")
    assert writer.failure is None, writer.failure
for descriptor in taken:
    os.close(descriptor)
for writer in writers:
    writer.close()
print(len(descriptors.OUTPUT._held))
"""


ACCEPTING = """
import asyncio, logging, os, resource, socket, sys
from conducto_local.server.listener import bind, serve

resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
lines = []

class Lines(logging.Handler):
    def emit(self, record):
        lines.append(record.getMessage() + ("" if record.exc_info is None else " with traceback"))

logging.getLogger().addHandler(Lines())

async def app(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"answered"})

async def main():
    stop, listening = asyncio.Event(), asyncio.Event()
    sock = bind()
    address = sock.getsockname()
    serving = asyncio.create_task(serve(app, sock, stop, listening.set))
    await listening.wait()
    loop = asyncio.get_running_loop()
    clients = [socket.socket() for _ in range(8)]
    taken = []
    try:
        while True:
            taken.append(os.open(os.devnull, os.O_RDONLY))
    except OSError:
        pass
    for client in clients:
        client.setblocking(False)
        await loop.sock_connect(client, address)
    while not lines:
        await asyncio.sleep(0.01)
    for descriptor in taken:
        os.close(descriptor)
    for client in clients:
        await loop.sock_sendall(client, b"GET / HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n")
        response = await loop.sock_recv(client, 1000)
        assert response.startswith(b"HTTP/1.1 200"), response
    stop.set()
    await serving
    print(set(lines))

asyncio.run(main())
"""


def test_clients_wait_for_descriptors_without_tracebacks() -> None:
    done = subprocess.run(
        [sys.executable, "-c", ACCEPTING], capture_output=True, text=True, timeout=60, check=False
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "{'a client must wait: too many open files'}\n"


def test_output_is_kept_when_no_descriptors_are_left(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(PROGRAM), str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (done.returncode, done.stdout, done.stderr) == (0, "64\n", "")
    assert sum(path.is_file() for path in tmp_path.rglob("*")) == 40
