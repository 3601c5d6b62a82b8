"""Slack, GitHub and a mail server on this machine, with scripted responses."""

from __future__ import annotations

import json
import socketserver
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass
class Asked:
    """One request."""

    path: str
    token: str
    body: dict[str, Any]
    raw: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class WebService:
    """A web service.

    Attributes:
        asked: Every request, in order.
        responses: ``(status, body)`` of the next requests; then `usual`.
        headers: Sent with every response.
    """

    url: str = ""
    asked: list[Asked] = field(default_factory=list)
    responses: list[tuple[int, object]] = field(default_factory=list)
    usual: tuple[int, object] = (200, {"ok": True, "channel": "C1", "ts": "1.5"})
    headers: dict[str, str] = field(default_factory=dict)

    def response(self) -> tuple[int, object]:
        return self.responses.pop(0) if self.responses else self.usual


@contextmanager
def web_service() -> Iterator[WebService]:
    service = WebService()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            raw = self.rfile.read(length)
            body = json.loads(raw or b"{}")
            token = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
            headers = {name.lower(): value for name, value in self.headers.items()}
            service.asked.append(Asked(self.path, token, body, raw, headers))
            status, response = service.response()
            data = json.dumps(response).encode()
            self.send_response(status)
            for name, value in {**service.headers, "Content-Length": str(len(data))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

        def do_GET(self) -> None:
            self.do_POST()

        def log_message(self, *_args: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        service.url = f"http://127.0.0.1:{server.server_address[1]}"
        with _serving(server):
            yield service


@dataclass
class MailServer:
    """A mail server.

    Attributes:
        taken: ``(recipients, message)`` of every accepted mail.
        replies: Responses to the next messages instead of "250 taken".
    """

    url: str = ""
    taken: list[tuple[list[str], str]] = field(default_factory=list)
    replies: list[str] = field(default_factory=list)


@contextmanager
def mail_server() -> Iterator[MailServer]:
    mail = MailServer()

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.say("220 here")
            to: list[str] = []
            for line in self.rfile:
                word = line.decode().strip()
                match word.upper().split(" ")[0]:
                    case "RCPT":
                        to.append(word.partition("<")[2].partition(">")[0])
                        self.say("250 ok")
                    case "DATA":
                        self.say("354 go on")
                        message = self.message()
                        reply = mail.replies.pop(0) if mail.replies else "250 taken"
                        if reply.startswith("2"):
                            mail.taken.append((to, message))
                        self.say(reply)
                    case "QUIT":
                        self.say("221 bye")
                        return
                    case _:
                        self.say("250 ok")

        def message(self) -> str:
            lines = []
            for line in self.rfile:
                if line == b".\r\n":
                    break
                lines.append(line.decode())
            return "".join(lines)

        def say(self, text: str) -> None:
            self.wfile.write(text.encode() + b"\r\n")

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        mail.url = f"smtp://127.0.0.1:{server.server_address[1]}"
        with _serving(server):
            yield mail


@contextmanager
def _serving(server: socketserver.BaseServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
