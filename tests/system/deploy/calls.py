"""Calls of the installation's roles to AWS, compared with the templates' policies."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import boto3
from moto.core.parse import PROTOCOL_PARSERS
from moto.core.request import Request, determine_request_protocol
from moto.core.routing import get_service_router

from conducto_core.installation.names import STACKS
from conducto_emulator.resources import ACCOUNT
from support.cloud.rights import Rights
from system.deploy import sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from system.deploy.installation import Installation

#: What boto3 calls services whose signatures have another name.
_SERVICES = {
    "elasticfilesystem": "efs",
    "execute-api": "apigatewaymanagementapi",
    "states": "stepfunctions",
}
#: The stage of the WebSocket API, which boto3's model of its calls does not have.
API_STAGE = "api"


def rights_of(installation: Installation) -> Rights:
    """Return the rights of all roles of an installation, each by its name."""
    client = boto3.client("cloudformation")
    made = {
        (stack, each["LogicalResourceId"]): _known(each["PhysicalResourceId"])
        for stack in STACKS
        for each in client.describe_stack_resources(StackName=installation.stack(stack))[
            "StackResources"
        ]
    }
    return Rights(installation.templates, {}, made)


def calls_of(recorded: Path, roles: set[str]) -> Iterator[str]:
    """Yield the requests of some roles as `support.cloud.rights.asked` reads calls."""
    for line in recorded.read_text().splitlines():
        request = json.loads(_known(line))
        if request["role"] in roles:
            yield json.dumps(_call(request), default=str)


def _known(text: str) -> str:
    """Return a text about the sandbox's account as one about the account of the evaluator."""
    return text.replace(sandbox.ACCOUNT, ACCOUNT)


def _call(recorded: dict[str, Any]) -> dict[str, Any]:
    service = _SERVICES.get(recorded["service"], recorded["service"])
    url = recorded["url"].replace(f"/{API_STAGE}/@connections/", "/@connections/")
    request = Request.from_primitives(
        recorded["method"], url, recorded["headers"], recorded["body"].encode()
    )
    operation, labels = get_service_router(service).match(request)
    kind = determine_request_protocol(operation.service_model, request.content_type)
    params = PROTOCOL_PARSERS[kind](operation).parse(
        {
            "method": request.method,
            "values": request.values,
            "headers": request.headers,
            "body": request.data,
            "url_path": request.path,
            "url_params": labels,
        }
    )
    return {
        "function": recorded["role"],
        "policy": recorded["policy"],
        "service": service,
        "operation": operation.name,
        "params": params,
    }
