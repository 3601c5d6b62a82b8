"""Speaks to the services of a command, a database and a queue, at their addresses."""

import os
import socket
import struct
import sys


def main() -> None:
    """Exit with 1 unless both services respond in their protocols."""
    with _connected("QUEUE") as queue:
        queue.sendall(b"PING\r\n")
        _expect("queue", queue.recv(16), b"+PONG\r\n")
    with _connected("DATABASE") as database:
        database.sendall(struct.pack("!II", 8, 80877103))  # asks whether it encrypts
        _expect("database", database.recv(1), b"N", b"S")


def _connected(name: str) -> socket.socket:
    host, port = os.environ[f"{name}_HOST"], int(os.environ[f"{name}_PORT"])
    return socket.create_connection((host, port), timeout=10)


def _expect(name: str, response: bytes, *expected: bytes) -> None:
    if response not in expected:
        sys.exit(f"{name} responded {response!r}, expected {expected}")
    sys.stdout.write(f"{name} responded {response!r}\n")


if __name__ == "__main__":
    main()
