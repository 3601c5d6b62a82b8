"""The functions: what API Gateway, EventBridge and an administrator call.

Chalice finds every function here by its decorator. Each one only translates; what is done is in
`chalicelib`, and what each is made of in `chalicelib.bootstrap`.
"""

from collections.abc import Callable
from typing import Any

from chalice.app import (
    AuthRequest,
    AuthResponse,
    Chalice,
    CloudWatchEvent,
    Response,
    WebsocketEvent,
)
from chalice.app import Request as ChaliceRequest

from chalicelib.adapters.codebuild import pipeline_of
from chalicelib.adapters.ecs import task_end, task_owner
from chalicelib.api import authorizer
from chalicelib.api.dispatch import CLIENT_ROUTES, WORKER_OPERATIONS, Request
from chalicelib.bootstrap import from_environment
from chalicelib.ports import Identity
from chalicelib.services.data_function import serve
from conducto_core.api.dispatch import Response as Answer
from conducto_core.api.routes import AnyRoute
from conducto_core.model.operations.pipelines import API_ROOT, AnyOperation
from conducto_core.runtime.json_logs import log_fields

app = Chalice(app_name="conducto")
app.experimental_feature_flags.update(["WEBSOCKETS"])
#: A test puts another one in its place before its first call.
conducto = from_environment()

_ANY_TYPE = ["*/*"]  # what is no JSON is refused by the service, in its own words


@app.middleware("all")
def say_which_request(event: Any, get_response: Callable[[Any], Any]) -> Any:
    """Give every line that is logged for a call its id, by which Lambda knows it as well."""
    context = getattr(event, "lambda_context", None) or getattr(event, "context", None)
    with log_fields(request_id=getattr(context, "aws_request_id", None)):
        return get_response(event)


@app.authorizer(ttl_seconds=authorizer.TTL)
def authorize(request: AuthRequest) -> AuthResponse:
    """Let in whoever has a token; what they may do is checked at each route."""
    identity = authorizer.identify(conducto.tokens, authorizer.bearer(request.token))
    if identity is None:
        return AuthResponse(routes=[], principal_id="nobody")
    context = authorizer.to_context(identity)
    return AuthResponse(routes=["*"], principal_id=identity.user, context=context)


def _mount_client(route: AnyRoute) -> None:
    def view(**params: str) -> Response:
        return _response(conducto.api.client_call(route, _caller(), _request(params)))

    _mount(route.operation, view)


def _mount_worker(operation: AnyOperation) -> None:
    def view() -> Response:
        return _response(conducto.api.worker_call(operation, _caller(), _request({})))

    _mount(operation, view)


def _mount(operation: AnyOperation, view: Any) -> None:
    app.route(
        f"{API_ROOT}{operation.path}",
        methods=[operation.method],
        name=operation.name,
        authorizer=authorize,
        content_types=_ANY_TYPE,
    )(view)


for _route in CLIENT_ROUTES:
    _mount_client(_route)
for _operation in WORKER_OPERATIONS:
    _mount_worker(_operation)


@app.on_ws_connect(name="socket_connect")
def socket_connect(event: WebsocketEvent) -> dict[str, Any]:
    """A client connects."""
    headers = {name.lower(): value for name, value in event.to_dict().get("headers", {}).items()}
    return conducto.sockets.connect(event.connection_id, headers)


@app.on_ws_message(name="socket_message")
def socket_message(event: WebsocketEvent) -> dict[str, Any]:
    """A client says what it follows."""
    return conducto.sockets.message(event.connection_id, event.body)


@app.on_ws_disconnect(name="socket_disconnect")
def socket_disconnect(event: WebsocketEvent) -> dict[str, Any]:
    """A client is gone."""
    return conducto.sockets.disconnect(event.connection_id)


@app.on_cw_event(
    {
        "source": ["aws.ecs"],
        "detail-type": ["ECS Task State Change"],
        "detail": {"lastStatus": ["STOPPED"]},
    },
    name="task_stopped",
)
def task_stopped(event: CloudWatchEvent) -> None:
    """A worker's task stopped."""
    owner = task_owner(event.detail)
    if owner is None:
        return
    with log_fields(pipeline=owner.pipeline_id, worker=owner.worker_id):
        conducto.reconciler.task_stopped(owner.pipeline_id, owner.worker_id, task_end(event.detail))


@app.on_cw_event(
    {
        "source": ["aws.states"],
        "detail-type": ["Step Functions Execution Status Change"],
        "detail": {"status": ["SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED"]},
    },
    name="execution_ended",
)
def execution_ended(event: CloudWatchEvent) -> None:
    """An execution is over."""
    machine = str(event.detail["stateMachineArn"]).rpartition(":")[2]
    if machine.startswith(conducto.site.prefix):
        run = str(event.detail["name"])
        with log_fields(run_id=run):
            conducto.reconciler.execution_ended(run, event.detail["status"])


@app.on_cw_event(
    {
        "source": ["aws.codebuild"],
        "detail-type": ["CodeBuild Build State Change"],
        "detail": {"build-status": ["SUCCEEDED", "FAILED", "STOPPED"]},
    },
    name="build_ended",
)
def build_ended(event: CloudWatchEvent) -> None:
    """The build of an image is over."""
    pipeline_id = pipeline_of(event.detail)
    if pipeline_id is not None:
        with log_fields(pipeline=pipeline_id):
            conducto.reconciler.build_changed(pipeline_id)


@app.schedule("rate(1 minute)", name="every_minute")
def every_minute(_event: CloudWatchEvent) -> None:
    """Look after all pipelines that are open, then send what people are to be told."""
    try:
        conducto.reconciler.run()
    finally:  # what could not be looked after has its alarm; nobody's news need wait for it
        try:
            conducto.followers.close_expired()
        finally:
            conducto.messenger.run()


@app.schedule("rate(1 day)", name="every_day")
def every_day(_event: CloudWatchEvent) -> None:
    """Archive pipelines that nobody has needed for long, delete those archived long ago, sweep."""
    try:
        conducto.retention.run()
    finally:
        conducto.sweeper.run()


@app.lambda_function(name="admin")
def admin(event: Any, _context: Any) -> dict[str, Any]:
    """Mint tokens and set plans; whoever may invoke functions of the account may do so."""
    return conducto.administration.answer(event)


@app.lambda_function(name="data")
def data(event: Any, _context: Any) -> dict[str, Any]:
    """Carry out what the API asks of data files; this function has the file system mounted."""
    return serve(conducto.data_files, event)


def _current() -> ChaliceRequest:
    if app.current_request is None:
        raise LookupError("no request is being answered")
    return app.current_request


def _caller() -> Identity | None:
    context = _current().context.get("authorizer") or {}
    return authorizer.from_context(context) if "org" in context else None


def _request(params: dict[str, str]) -> Request:
    current = _current()
    event = current.to_original_event()
    query = event.get("multiValueQueryStringParameters") or {}
    return Request(
        params=params,
        query=tuple((name, value) for name, values in query.items() for value in values),
        headers={name.lower(): value for name, value in current.headers.items()},
        body=_body(current),
    )


def _body(request: ChaliceRequest) -> bytes:
    body = request.raw_body or b""
    return body.encode() if isinstance(body, str) else body


def _response(answer: Answer) -> Response:
    headers: dict[str, str | list[str]] = {
        "Content-Type": answer.media_type,
        **dict(answer.headers),
    }
    return Response(answer.body.decode(), headers, answer.status)
