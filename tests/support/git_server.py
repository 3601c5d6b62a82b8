"""Git repositories behind Git's own HTTP server, with and without TLS and a password."""

from __future__ import annotations

import base64
import os
import subprocess
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator
    from pathlib import Path


@dataclass
class GitServer:
    """The server.

    Attributes:
        folder: The directory of the repositories.
        password: Password that the repositories need, or "".
        public: Names of repositories that need no password.
        moved: ``{path: address}`` of repositories that the server redirects to other addresses.
        requests: ``(path, password)`` of the requests.
    """

    folder: Path
    url: str = ""
    password: str = ""
    public: set[str] = field(default_factory=set)
    moved: dict[str, str] = field(default_factory=dict)
    requests: list[tuple[str, str]] = field(default_factory=list)

    def with_password(self) -> set[str]:
        """Return the repositories whose requests had the password."""
        return {path.partition(".git/")[0] for path, given in self.requests if given}

    def repository(self, name: str, files: dict[str, str]) -> Path:
        """Create ``NAME.git`` with one commit of some files on the branch ``main``."""
        work = self.folder / "work" / name
        git(self.folder, "init", "--quiet", "--initial-branch=main", str(work))
        for path, content in files.items():
            (work / path).parent.mkdir(parents=True, exist_ok=True)
            (work / path).write_text(content)
        git(work, "add", ".")
        git(work, "commit", "--quiet", "--message", "first")
        bare = self.folder / f"{name}.git"
        bare.parent.mkdir(parents=True, exist_ok=True)
        git(self.folder, "clone", "--quiet", "--bare", str(work), str(bare))
        return work

    def allows(self, path: str, header: str | None) -> bool:
        login = base64.b64decode((header or "").removeprefix("Basic ")).decode()
        given = login.partition(":")[2]
        self.requests.append((path, given))
        is_public = path.strip("/").partition(".git/")[0] in self.public
        return is_public or not self.password or given == self.password

    def location(self, path: str) -> str | None:
        """Return the new address of a request for a repository that has moved."""
        for old, new in self.moved.items():
            if path.startswith(f"{old}/"):
                return new + path.removeprefix(old)
        return None


def git(folder: Path, *words: str) -> str:
    """Run git and return its output."""
    name = {"GIT_AUTHOR_NAME": "a", "GIT_COMMITTER_NAME": "a"}
    mail = {"GIT_AUTHOR_EMAIL": "a@example.org", "GIT_COMMITTER_EMAIL": "a@example.org"}
    done = subprocess.run(
        ["git", *words],
        cwd=folder,
        env={**os.environ, **name, **mail, "GIT_CONFIG_GLOBAL": os.devnull},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


@contextmanager
def git_server(
    folder: Path, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None
) -> Iterator[GitServer]:
    """Serve the repositories below a directory with ``git http-backend``."""
    served = GitServer(folder)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            allowed = served.allows(self.path, self.headers.get("Authorization"))
            if not allowed:
                self._refuse(401, "WWW-Authenticate", 'Basic realm="git"')
            elif location := served.location(self.path):
                self._refuse(302, "Location", location)
            else:
                self._answer(*_responded(served, self, body))

        do_POST = do_GET  # noqa: N815  the name that http.server calls

        def _refuse(self, status: int, name: str, value: str) -> None:
            self.send_response(status)
            self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def _answer(self, head: bytes, content: bytes) -> None:
            fields = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
            self.send_response(int(fields.pop("Status", "200").split()[0]))
            for name, value in fields.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_args: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer((host, 0), Handler) as server:
        scheme = "http" if tls is None else "https"
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        served.url = f"{scheme}://{host}:{server.server_address[1]}"
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        try:
            yield served
        finally:
            server.shutdown()


def _responded(
    served: GitServer, request: BaseHTTPRequestHandler, body: bytes
) -> tuple[bytes, bytes]:
    path, _, query = request.path.partition("?")
    env = {
        **os.environ,
        "GIT_PROJECT_ROOT": str(served.folder),
        "GIT_HTTP_EXPORT_ALL": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "REQUEST_METHOD": request.command,
        "CONTENT_TYPE": request.headers.get("Content-Type") or "",
        "CONTENT_LENGTH": str(len(body)),
        "HTTP_CONTENT_ENCODING": request.headers.get("Content-Encoding") or "",
        "GIT_PROTOCOL": request.headers.get("Git-Protocol") or "",
    }
    done = subprocess.run(
        ["git", "http-backend"], env=env, input=body, capture_output=True, check=True
    )
    head, _, content = done.stdout.partition(b"\r\n\r\n")
    return head, content
