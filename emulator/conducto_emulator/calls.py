"""The service and operation of a request to AWS."""

from collections.abc import Mapping
from typing import Any, NamedTuple

#: Services by the prefix of ``X-Amz-Target``.
_SERVICES = {
    "AmazonEC2ContainerServiceV20141113": "ecs",
    "AWSStepFunctions": "states",
    "DynamoDB_20120810": "dynamodb",
    "CodeBuild_20161006": "codebuild",
    "AmazonEC2ContainerRegistry_V20150921": "ecr",
    "secretsmanager": "secretsmanager",
    "Logs_20140328": "logs",
}


class Call(NamedTuple):
    """A service and an operation.

    Attributes:
        service: Name as in signatures, such as ``states``; empty if unknown.
        operation: AWS's name of the operation, or the HTTP method if the request does not name it.
    """

    service: str
    operation: str


def call_of(environ: Mapping[str, Any]) -> Call:
    """Return the call of a WSGI request."""
    target = str(environ.get("HTTP_X_AMZ_TARGET", ""))
    prefix, _, operation = target.partition(".")
    if operation:
        return Call(_SERVICES.get(prefix, prefix), operation)
    return Call(_signed_service(environ), str(environ["REQUEST_METHOD"]))


def _signed_service(environ: Mapping[str, Any]) -> str:
    """Return the service in a signature's scope, such as ``AWS4… Credential=K/D/R/s3/…``."""
    signature = str(environ.get("HTTP_AUTHORIZATION", ""))
    _, _, scope = signature.partition("Credential=")
    if not scope:
        query = str(environ.get("QUERY_STRING", ""))
        _, _, scope = query.replace("%2F", "/").partition("X-Amz-Credential=")
    parts = scope.split("/", 4)
    return parts[3] if len(parts) > 4 else ""  # noqa: PLR2004  (key, date, region, service, rest)
