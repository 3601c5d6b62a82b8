"""Lambda entry points for API Gateway, EventBridge and administrators.

Chalice registers every function here by its decorator. Each function only translates between AWS
events and `chalicelib`; `chalicelib.bootstrap` assembles the objects.
"""

from collections.abc import Callable
from contextlib import ExitStack
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

from chalicelib.api import authorizer
from chalicelib.api.dispatch import Request, check_complete
from chalicelib.bootstrap import from_environment
from chalicelib.data.function import serve
from chalicelib.images.aws import pipeline_of
from chalicelib.logs.port import LogKey
from chalicelib.people.port import Identity
from chalicelib.services import HANDLERS
from chalicelib.workers.aws.ecs import task_end, task_owner
from conducto_core.api.cloud_operations import CLOUD_OPERATIONS
from conducto_core.api.dispatch import Response as ApiResponse
from conducto_core.api.operation import API_ROOT, AnyOperation
from conducto_core.assistants.handlers import MCP_PATH, METADATA_PATH
from conducto_core.children.operations import CHILD_OPERATIONS
from conducto_core.command.json_logs import log_fields
from conducto_core.installation.names import FUNCTION_SECONDS
from conducto_core.people.operations import ORGANISATION_OPERATIONS
from conducto_core.telemetry.rules import metrics
from conducto_core.workers.operations import WORKER_OPERATIONS

app = Chalice(app_name="conducto")
app.experimental_feature_flags.update(["WEBSOCKETS"])
#: Tests replace this object before the first call.
conducto = from_environment()

#: Maximum seconds of a daily measurement of storage; the next one continues.
_STORAGE_SECONDS = 300.0
_ANY_TYPE = ["*/*"]  # the service rejects bodies that are not JSON, with its own problem document


@app.middleware("all")
def add_request_id(event: Any, get_response: Callable[[Any], Any]) -> Any:
    """Add the request id to every log record of an invocation."""
    context = getattr(event, "lambda_context", None) or getattr(event, "context", None)
    with log_fields(request_id=getattr(context, "aws_request_id", None)):
        return get_response(event)


@app.authorizer(ttl_seconds=authorizer.TTL)
def authorize(request: AuthRequest) -> AuthResponse:
    """Authorize requests with a valid token; each route checks the permissions."""
    token = authorizer.bearer(request.token)
    identity = authorizer.identify(
        conducto.records.tokens, token
    ) or authorizer.identify_with_provider(conducto.identity_provider, token)
    if identity is None:
        return AuthResponse(routes=[], principal_id="nobody")
    context = authorizer.to_context(identity)
    return AuthResponse(routes=["*"], principal_id=identity.user or "nobody", context=context)


def _mount(operation: AnyOperation) -> None:
    def view(**params: str) -> Response:
        return _response(conducto.api.call(operation, _caller(), _request(params)))

    app.route(
        f"{API_ROOT}{operation.path}",
        methods=[operation.method],
        name=operation.name,
        authorizer=authorize,
        content_types=_ANY_TYPE,
    )(view)


_OPERATIONS = (
    *CLOUD_OPERATIONS,
    *ORGANISATION_OPERATIONS,
    *CHILD_OPERATIONS,
    *WORKER_OPERATIONS,
)
check_complete(_OPERATIONS, HANDLERS)
for _operation in _OPERATIONS:
    _mount(_operation)


@app.route(
    MCP_PATH,
    methods=["GET", "POST", "DELETE"],
    name="mcp",
    authorizer=authorize,
    content_types=_ANY_TYPE,
)
def mcp() -> Response:
    """Handle a message of an assistant."""
    return _response(conducto.mcp.respond(str(_current().method), _caller(), _request({})))


@app.route(METADATA_PATH, methods=["GET"])
def mcp_metadata() -> Response:
    """Tell clients of assistants how they are authorized."""
    return _response(conducto.mcp.metadata())


@app.route(metrics.PATH, methods=["GET"], name="prometheus", authorizer=authorize)
def prometheus() -> Response:
    """Return the values of an organisation's instruments, as text for Prometheus."""
    return _response(conducto.metrics.respond(_caller()))


@app.route(f"{API_ROOT}/hooks/{{hook}}", methods=["POST"], content_types=_ANY_TYPE)
def receive_hook(hook: str) -> Response:
    """Receive a webhook: the signature of its body authorizes it."""
    request = _request({})
    return _response(conducto.hooks.receive(hook, request.headers, request.body))


@app.on_ws_connect(name="socket_connect")
def socket_connect(event: WebsocketEvent) -> dict[str, Any]:
    """Accept or reject a new WebSocket connection."""
    headers = {name.lower(): value for name, value in event.to_dict().get("headers", {}).items()}
    return conducto.services.sockets.connect(event.connection_id, headers)


@app.on_ws_message(name="socket_message")
def socket_message(event: WebsocketEvent) -> dict[str, Any]:
    """Handle a subscription message from a client."""
    return conducto.services.sockets.message(event.connection_id, event.body)


@app.on_ws_disconnect(name="socket_disconnect")
def socket_disconnect(event: WebsocketEvent) -> dict[str, Any]:
    """Delete a closed WebSocket connection."""
    return conducto.services.sockets.disconnect(event.connection_id)


@app.on_cw_event(
    {
        "source": ["aws.ecs"],
        "detail-type": ["ECS Task State Change"],
        "detail": {"lastStatus": ["STOPPED"]},
    },
    name="task_stopped",
)
def task_stopped(event: CloudWatchEvent) -> None:
    """Handle the end of a worker's ECS task."""
    owner = task_owner(event.detail)
    if owner is None:
        return
    with log_fields(pipeline=owner.pipeline_id, worker=owner.worker_id):
        conducto.services.reconciler.task_stopped(
            owner.pipeline_id, owner.worker_id, task_end(event.detail)
        )


@app.on_cw_event(
    {
        "source": ["aws.states"],
        "detail-type": ["Step Functions Execution Status Change"],
        "detail": {"status": ["SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED"]},
    },
    name="execution_ended",
)
def execution_ended(event: CloudWatchEvent) -> None:
    """Handle the end of a Step Functions execution."""
    machine = str(event.detail["stateMachineArn"])
    if machine.rpartition(":")[2].startswith(conducto.site.prefix):
        run = str(event.detail["name"])
        with log_fields(run_id=run):
            conducto.services.reconciler.execution_ended(run, event.detail["status"], machine)


@app.on_cw_event(
    {
        "source": ["aws.codebuild"],
        "detail-type": ["CodeBuild Build State Change"],
        "detail": {"build-status": ["SUCCEEDED", "FAILED", "STOPPED"]},
    },
    name="build_ended",
)
def build_ended(event: CloudWatchEvent) -> None:
    """Handle the end of an image build."""
    pipeline_id = pipeline_of(event.detail)
    if pipeline_id is not None:
        with log_fields(pipeline=pipeline_id):
            conducto.services.reconciler.build_changed(pipeline_id)


@app.schedule("rate(1 minute)", name="every_minute")
def every_minute(_event: CloudWatchEvent) -> None:
    """Reconcile all open pipelines, fire due schedules, then send due notifications."""
    billing = conducto.billing_run
    steps = [
        conducto.services.reconciler.run,
        conducto.serve_schedules,
        conducto.followers.close_expired,
        conducto.messenger.run,
        conducto.metrics.send_all,
        conducto.copy_audit,
        *(() if billing is None else (billing.minute,)),
        conducto.services.trigger_run.run,
        conducto.request_missed,
    ]
    with ExitStack() as last_first:  # a failure has an alarm; it must not delay the other steps
        for step in reversed(steps):
            last_first.callback(step)


@app.lambda_function(name="hook_event")
def hook_event(event: Any, _context: Any) -> dict[str, Any] | None:
    """Process a webhook event that was received, join output, or take messages of a queue."""
    if "Records" in event:
        return conducto.take_messages(event["Records"])
    if "output" in event:
        conducto.join_output(LogKey(*event["output"]))
    elif "trigger" in event:
        conducto.take_bus_event(*event["trigger"], event["event"])
    elif "schedule" in event:
        conducto.serve_schedule(*event["schedule"])
    elif "delivery" in event:
        conducto.services.trigger_run.process(*event["delivery"])
    elif conducto.billing_run is not None:
        conducto.billing_run.process_event(str(event["event"]))
    return None


@app.lambda_function(name="background")
def background(event: Any, context: Any) -> None:
    """Execute effects that take too long for a request, and check pipelines."""
    conducto.background(event, _left(context))


@app.schedule("rate(1 day)", name="every_day")
def every_day(_event: CloudWatchEvent) -> None:
    """Archive and delete old pipelines, measure storage, and clean up orphaned resources."""
    try:
        conducto.services.retention.run()
        conducto.services.storage_metering.run(_STORAGE_SECONDS)
    finally:
        conducto.services.orphan_cleanup.run()


@app.lambda_function(name="admin")
def admin(event: Any, _context: Any) -> dict[str, Any]:
    """Create tokens and set plans; callers need ``lambda:InvokeFunction`` permission."""
    return conducto.administration.respond(event)


@app.lambda_function(name="data")
def data(event: Any, _context: Any) -> dict[str, Any]:
    """Execute file operations for the API; only this function mounts the file system."""
    return serve(conducto.data_files, event)


def _left(context: Any) -> Callable[[], float]:
    """Return a function for the seconds until Lambda ends the invocation."""
    if context is None:  # in the emulator's own process, which does not end it
        return lambda: float(FUNCTION_SECONDS["background"])
    return lambda: context.get_remaining_time_in_millis() / 1000


def _current() -> ChaliceRequest:
    if app.current_request is None:
        raise LookupError("no current request: call this only while handling one")
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
        id=getattr(current.lambda_context, "aws_request_id", None) or "",
    )


def _body(request: ChaliceRequest) -> bytes:
    body = request.raw_body or b""
    return body.encode() if isinstance(body, str) else body


def _response(response: ApiResponse) -> Response:
    headers: dict[str, str | list[str]] = {
        "Content-Type": response.media_type,
        **dict(response.headers),
    }
    return Response(response.body.decode(), headers, response.status)
