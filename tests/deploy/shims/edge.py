"""CloudFront: where requests go."""

from __future__ import annotations

from typing import Any

from ministack.services import cloudfront

from deploy.shims import Shim, replace

_ORIGIN = "abc.execute-api.us-east-1.amazonaws.com"


def _reach_origins() -> None:
    @replace(cloudfront, "_is_aws_owned_host")
    def owned(_original: Any, _host: str) -> bool:
        return False  # these names lead to this server


SHIMS = (
    Shim(
        "origins",
        "CloudFront sends requests to origins with AWS's names; ministack refuses to, lest it "
        "reach the real AWS.",
        _reach_origins,
        lambda: bool(cloudfront._is_aws_owned_host(_ORIGIN)),
    ),
)
