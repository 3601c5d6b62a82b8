"""A receiver of OTLP over HTTP, which decodes requests with the official protobuf."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

_KINDS = {"/v1/traces": ExportTraceServiceRequest, "/v1/metrics": ExportMetricsServiceRequest}


class Collector:
    """What a collector received.

    Attributes:
        status: Its status for requests.
    """

    def __init__(self) -> None:
        self.status = 200
        self.traces: list[Any] = []
        self.metrics: list[Any] = []
        self.headers: list[dict[str, str]] = []
        self.requests = 0
        self.changed = threading.Condition()
        self.url = ""

    @property
    def spans(self) -> list[Any]:
        return [
            span
            for request in self.traces
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    @property
    def points(self) -> dict[str, Any]:
        """``{name: metric}`` of the newest request."""
        return {
            metric.name: metric
            for resource in self.metrics[-1].resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }

    def wait(self, condition: Any, seconds: float = 20.0) -> None:
        """Wait until ``condition()`` holds."""
        with self.changed:
            assert self.changed.wait_for(condition, seconds), "the collector did not get it"

    def receive(self, path: str, headers: dict[str, str], body: bytes) -> int:
        found = _KINDS[path]()
        found.ParseFromString(gzip.decompress(body) if headers.get("content-encoding") else body)
        with self.changed:
            self.requests += 1
            self.headers.append(headers)
            if self.status == 200:
                (self.traces if path == "/v1/traces" else self.metrics).append(found)
            self.changed.notify_all()
        return self.status


@contextmanager
def collector() -> Iterator[Collector]:
    """Run a collector on a free port of this machine."""
    found = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            self.send_response(found.receive(self.path, headers, body))
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Print nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def attributes(span: Any) -> dict[str, Any]:
    """Return the attributes of a decoded span, point or resource."""
    return {
        each.key: getattr(each.value, each.value.WhichOneof("value")) for each in span.attributes
    }
