"""Names and answers of small services: S3's hosts, the registry, quotas."""

from __future__ import annotations

import json
from typing import Any

from ministack import app as gateway
from ministack.core.responses import error_response_json
from ministack.services import ecr

from system.deploy.shims import Shim, replace

REGISTRY_HOST = "api.ecr.us-east-1.amazonaws.com"
#: vCPUs of a real account after the usual request for more.
QUOTA = {"ServiceCode": "fargate", "QuotaName": "vCPUs", "Value": 64.0}


def _only_s3_hosts() -> None:
    @replace(gateway, "_extract_s3_vhost_bucket")
    def bucket(original: Any, host: str) -> Any:
        return original(host) if ".s3." in (host or "") else None


def _takes_hosts_for_buckets() -> bool:
    return gateway._extract_s3_vhost_bucket(REGISTRY_HOST) is not None


def _missing_image_is_an_error() -> None:
    @replace(ecr, "_describe_images")
    def describe(original: Any, data: Any) -> Any:
        status, headers, body = original(data)
        if status == 200 and data.get("imageIds") and not json.loads(body)["imageDetails"]:
            return error_response_json(
                "ImageNotFoundException", "The image does not exist within the repository", 400
            )
        return status, headers, body


def _finds_missing_images() -> bool:
    ecr._create_repository({"repositoryName": "probe"})
    asked = {"repositoryName": "probe", "imageIds": [{"imageTag": "absent"}]}
    return ecr._describe_images(asked)[0] == 200


def _serve_quotas() -> None:
    @replace(gateway, "app")
    async def app(original: Any, scope: Any, receive: Any, send: Any) -> None:
        headers = dict(scope.get("headers") or ())
        if not headers.get(b"x-amz-target", b"").startswith(b"ServiceQuotas"):
            await original(scope, receive, send)
            return
        kind = [(b"content-type", b"application/x-amz-json-1.1")]
        await send({"type": "http.response.start", "status": 200, "headers": kind})
        await send({"type": "http.response.body", "body": json.dumps({"Quota": QUOTA}).encode()})


SHIMS = (
    Shim(
        "s3-hosts",
        "A bucket's host has '.s3.'; ministack takes each name it does not list for a bucket's, "
        "and so answers calls of ECR as S3.",
        _only_s3_hosts,
        _takes_hosts_for_buckets,
    ),
    Shim(
        "ecr-missing-image",
        "ECR answers a query for an absent tag with an error; ministack returns an empty list, "
        "and CDK then does not push the image.",
        _missing_image_is_an_error,
        _finds_missing_images,
    ),
    Shim(
        "service-quotas",
        "Service Quotas returns an account's quotas; ministack does not have the service.",
        _serve_quotas,
        lambda: not any("quota" in name for name in gateway.SERVICE_HANDLERS),
    ),
)
