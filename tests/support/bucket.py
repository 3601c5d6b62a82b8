"""A bucket, as its signed addresses are used: content is got from it and put there."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class HttpBucket:
    """Serves until it is closed.

    Args:
        content: What every GET answers.
        refused: Path at which nothing may be put.
        host: Address at which it serves.

    Attributes:
        puts: ``(path, body)`` of everything that was taken, in order.
    """

    def __init__(
        self, content: bytes = b"", refused: str | None = None, *, host: str = "127.0.0.1"
    ) -> None:
        self.puts: list[tuple[str, bytes]] = []
        puts = self.puts

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def do_PUT(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.path != refused:
                    puts.append((self.path, body))
                self.send_response(403 if self.path == refused else 200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer((host, 0), Handler)
        self._server.daemon_threads = False
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        self.url = f"http://{host}:{self._server.server_port}"

    @property
    def bodies(self) -> list[bytes]:
        """Uploaded objects, in order."""
        return [body for _, body in self.puts]

    @property
    def taken(self) -> dict[str, bytes]:
        """``{path: what was put there last}``."""
        return dict(self.puts)

    def close(self) -> None:
        """Stop when all requests are answered."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
