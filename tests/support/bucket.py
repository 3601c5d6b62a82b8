"""A bucket as its presigned URLs present it, for uploads and downloads."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class HttpBucket:
    """A server that runs until it is closed.

    Args:
        content: The response to every GET.
        refused: Path whose uploads are rejected.
        host: Address of the server.

    Attributes:
        puts: ``(path, body)`` of every upload, in order.
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
                """Log nothing."""

        self._server = ThreadingHTTPServer((host, 0), Handler)
        self._server.daemon_threads = False
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        self.url = f"http://{host}:{self._server.server_port}"

    @property
    def bodies(self) -> list[bytes]:
        return [body for _, body in self.puts]

    @property
    def taken(self) -> dict[str, bytes]:
        """``{path: body of its last upload}``."""
        return dict(self.puts)

    def close(self) -> None:
        """Stop when all requests are answered."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
