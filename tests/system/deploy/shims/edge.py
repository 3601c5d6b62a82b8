"""CloudFront and the WebSocket API: where requests go, and how a socket opens."""

from __future__ import annotations

import contextvars
import inspect
from typing import Any

from ministack import app as gateway
from ministack.services import apigateway, cloudfront

from system.deploy.shims import Shim, replace

_ORIGIN = "abc.execute-api.us-east-1.amazonaws.com"
_PROTOCOL = "sec-websocket-protocol"
_chosen: contextvars.ContextVar[str | None] = contextvars.ContextVar("chosen", default=None)


def _reach_origins() -> None:
    @replace(cloudfront, "_is_aws_owned_host")
    def owned(_original: Any, _host: str) -> bool:
        return False  # these names lead to this server


# ---- WebSockets ---------------------------------------------------------------------------------


def _pass_sockets() -> None:
    @replace(gateway, "app")
    async def app(original: Any, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "websocket":
            scope = await _at_origin(scope)
        await original(scope, receive, send)


async def _at_origin(scope: dict[str, Any]) -> dict[str, Any]:
    """Return a WebSocket's request as the origin of its distribution receives it."""
    headers = {name.decode().lower(): value.decode() for name, value in scope["headers"]}
    label = gateway._parse_cloudfront_dataplane_host(headers["host"])
    found = None if label is None else cloudfront.find_distribution_for_label(label)
    if found is None:
        return scope
    settings = cloudfront.parse_distribution_dataplane_config(found)
    behavior = cloudfront._match_behavior(settings, scope["path"])
    place = (found["Id"], found["DomainName"], "request", "GET", scope["path"], {}, headers)
    event = cloudfront._build_function_event("viewer-request", *place, scope["client"][0])
    request = await cloudfront._run_function(behavior["functions"]["viewer-request"], event)
    if "statusCode" in request:  # ministack refuses a WebSocket at a distribution's name
        return scope
    sent = cloudfront._merge_function_headers(event["request"]["headers"], request["headers"])
    sent["host"] = settings["origins"][behavior["target_origin_id"]]["domain_name"]
    raw = [(name.encode(), str(value).encode()) for name, value in sent.items()]
    return {**scope, "path": request["uri"], "raw_path": request["uri"].encode(), "headers": raw}


def _choose_subprotocols() -> None:
    @replace(apigateway, "_invoke_ws_lambda")
    async def invoke(original: Any, *arguments: Any, **named: Any) -> Any:
        response = await original(*arguments, **named)
        headers = {
            name.lower(): value for name, value in (response or {}).get("headers", {}).items()
        }
        _chosen.set(headers.get(_PROTOCOL))
        return response

    @replace(apigateway, "handle_websocket")
    async def handle(
        original: Any, scope: Any, receive: Any, send: Any, *rest: Any, **named: Any
    ) -> None:
        async def accept(message: dict[str, Any]) -> None:
            if message["type"] == "websocket.accept":
                message = {**message, "subprotocol": _chosen.get()}
            await send(message)

        await original(scope, receive, accept, *rest, **named)


SHIMS = (
    Shim(
        "origins",
        "CloudFront sends requests to origins with AWS's names; ministack refuses to, lest it "
        "reach the real AWS.",
        _reach_origins,
        lambda: bool(cloudfront._is_aws_owned_host(_ORIGIN)),
    ),
    Shim(
        "sockets-of-distributions",
        "CloudFront passes WebSockets on to origins; ministack refuses them at a distribution's "
        "name.",
        _pass_sockets,
        lambda: "cloudfront" not in _source_of_sockets(),
    ),
    Shim(
        "subprotocols",
        "API Gateway opens a WebSocket with the subprotocol that $connect returned; ministack with "
        "none, and browsers then hang up.",
        _choose_subprotocols,
        lambda: "subprotocol" not in inspect.getsource(apigateway.handle_websocket),
    ),
)


def _source_of_sockets() -> str:
    """Return the part of the entry point that dispatches WebSockets."""
    source = inspect.getsource(gateway.app)
    return source.partition('scope["type"] == "websocket"')[2].partition('scope["type"] != "http"')[
        0
    ]
