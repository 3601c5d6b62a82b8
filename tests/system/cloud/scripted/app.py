"""An app with scripted responses, to test the emulator and the worker alone."""

from __future__ import annotations

import json
import threading
from collections import defaultdict
from typing import Any

from chalice.app import Chalice, Rate, Response

app = Chalice("scripted", debug=True)
app.experimental_feature_flags.update({"WEBSOCKETS"})


class Script:
    """The scripted responses and the received requests; the test resets it."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.instructions: dict[str, Any] = {}
        self.responses: dict[str, list[dict[str, Any]]] = {}
        self.stop = False
        self.came: dict[str, list[Any]] = defaultdict(list)

    def note(self, kind: str, value: Any) -> None:
        with self.changed:
            self.came[kind].append(value)
            self.changed.notify_all()

    def wait(self, kind: str, count: int = 1, seconds: float = 30) -> list[Any]:
        with self.changed:
            enough = self.changed.wait_for(lambda: len(self.came[kind]) >= count, seconds)
            assert enough, (kind, count, {key: len(each) for key, each in self.came.items()})
            return list(self.came[kind])

    def until(self, wanted: Any, seconds: float = 30) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: wanted(self.came), seconds), dict(self.came)


script = Script()


def _body() -> dict[str, Any]:
    assert app.current_request is not None
    return json.loads(app.current_request.raw_body)  # type: ignore[no-any-return]


@app.route("/api/v1/worker/start", methods=["POST"])
def start() -> Any:
    assert app.current_request is not None
    script.note("start", (app.current_request.headers.get("authorization"), _body()))
    return script.instructions


@app.route("/api/v1/worker/claim", methods=["POST"])
def claim() -> Any:
    body = _body()
    script.note("claim", body)
    with script.changed:
        responses = script.responses.get(body["node"], [])
        return responses.pop(0) if responses else {"decision": "drop"}


@app.route("/api/v1/worker/heartbeat", methods=["POST"])
def heartbeat() -> Any:
    script.note("pulse", _body())
    return {"stop": script.stop}


@app.route("/api/v1/worker/log", methods=["POST"])
def log() -> Any:
    script.note("log", _body())
    return {}


@app.route("/api/v1/worker/report", methods=["POST"])
def report() -> Any:
    script.note("report", _body())
    return {}


@app.route("/api/v1/worker/end", methods=["POST"])
def end() -> Any:
    script.note("end", _body())
    return {}


@app.route("/refuse", methods=["GET"])
def refuse() -> Response:
    return Response({"detail": "no"}, status_code=409, headers={"X-Why": "because"})


@app.on_cw_event({"source": ["aws.ecs"], "detail-type": ["ECS Task State Change"]})  # type: ignore[untyped-decorator]
def task_changed(event: Any) -> None:
    script.note("task", event.detail)


@app.on_cw_event(  # type: ignore[untyped-decorator]
    {
        "source": ["aws.states"],
        "detail": {"status": ["FAILED", "SUCCEEDED", "ABORTED", "TIMED_OUT"]},
    }
)
def execution_ended(event: Any) -> None:
    script.note("execution", event.detail)


@app.schedule(Rate(1, unit=Rate.MINUTES))  # type: ignore[untyped-decorator]
def minute(event: Any) -> None:
    del event
    script.note("minute", None)


@app.on_ws_connect()  # type: ignore[untyped-decorator]
def connect(event: Any) -> Any:
    headers = event.to_dict()["headers"]
    script.note("connect", event.connection_id)
    refused = headers.get("authorization") != "Bearer good"
    return {"statusCode": 401 if refused else 200}


@app.on_ws_message()  # type: ignore[untyped-decorator]
def message(event: Any) -> Any:
    script.note("message", (event.connection_id, event.body))
    return {"statusCode": 200}


@app.on_ws_disconnect()  # type: ignore[untyped-decorator]
def disconnect(event: Any) -> Any:
    script.note("disconnect", event.connection_id)
    return {"statusCode": 200}
