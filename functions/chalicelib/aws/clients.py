"""boto3 clients: created on first use, then shared by the process.

Creating one takes about 100 ms, mostly for reading the description of the service. boto3 configures
endpoints, regions and credentials from its environment variables, which in the emulator point to
the emulator.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from threading import Lock
from typing import Any

from conducto_core.installation.names import ORG_TAG, PIPELINE_TAG, STAGE_TAG

#: A boto3 client; boto3 has no type hints.
Client = Any

_TIMEOUT = 10.0
_ATTEMPTS = 3


class Clients:
    """One client per service.

    Args:
        region: AWS region; None: from the environment.
        options: Further arguments of each client, e.g. credentials in tests.
    """

    def __init__(self, region: str | None = None, **options: Any) -> None:
        self._region = region
        self._options = options
        self._made: dict[tuple[str, str | None], Client] = {}
        self._lock = Lock()

    def get(self, service: str, endpoint: str | None = None) -> Client:
        """Return the client of a service such as ``dynamodb``."""
        with self._lock:
            key = service, endpoint
            if key not in self._made:
                self._made[key] = self._create(service, endpoint)
            return self._made[key]

    def once(self, service: str, seconds: float) -> Client:
        """Return the client of a service without retries, and with a timeout.

        A call that timed out may have been executed: the caller decides whether to repeat it.
        """
        with self._lock:
            key = service, f"once within {seconds:g} s"
            if key not in self._made:
                self._made[key] = self._create(service, None, attempts=1, seconds=seconds)
            return self._made[key]

    def lent(self, service: str, credentials: Mapping[str, Any]) -> Client:
        """Return a new client with a role's credentials, as returned by STS."""
        return self._create(
            service,
            None,
            aws_access_key_id=credentials["AccessKeyId"],
            aws_secret_access_key=credentials["SecretAccessKey"],
            aws_session_token=credentials["SessionToken"],
        )

    def _create(
        self,
        service: str,
        endpoint: str | None,
        *,
        attempts: int = _ATTEMPTS,
        seconds: float = _TIMEOUT,
        **more: Any,
    ) -> Client:
        import boto3  # type: ignore[import-untyped]  # noqa: PLC0415  slow; on first use
        from botocore.config import Config  # type: ignore[import-untyped]  # noqa: PLC0415

        config = Config(
            # Throttled calls are retried twice at once; then the caller decides.
            retries={"mode": "standard", "total_max_attempts": attempts},
            connect_timeout=_TIMEOUT,
            read_timeout=seconds,
            signature_version="s3v4" if service == "s3" else None,
            # Presigned URLs use the bucket's regional host: it is the only host that pages may
            # access, and the global host redirects, which browsers do not follow across origins.
            s3={"addressing_style": "virtual", "us_east_1_regional_endpoint": "regional"},
        )
        options = {**self._options, **more}
        if endpoint is not None:
            options["endpoint_url"] = endpoint
        return boto3.client(service, region_name=self._region, config=config, **options)


# ----------------------------------------------------------------------------------------
# Tags of billable resources, with which AWS cost reports distinguish installations and users.
#
# An administrator activates them once as cost-allocation tags in AWS Billing.


#: Characters that a tag value must not contain (AWS Resource Groups Tagging API).
_FORBIDDEN = re.compile(r"[^\w .:/=+@-]")
_MAX_VALUE = 256


@dataclass(frozen=True, slots=True)
class Tags:
    """The tags of an installation."""

    stage: str

    def pairs(self, org: str = "", pipeline_id: str = "") -> list[tuple[str, str]]:
        """Return ``(key, value)`` pairs for a resource of an organisation or a pipeline."""
        known = {STAGE_TAG: self.stage, ORG_TAG: org, PIPELINE_TAG: pipeline_id}
        return [
            (key, _FORBIDDEN.sub("_", value)[:_MAX_VALUE]) for key, value in known.items() if value
        ]


def lower(tags: list[tuple[str, str]]) -> list[dict[str, str]]:
    """Return tags in the format of ECS and Step Functions."""
    return [{"key": key, "value": value} for key, value in tags]


def upper(tags: list[tuple[str, str]]) -> list[dict[str, str]]:
    """Return tags in the format of ECR, EFS and Secrets Manager."""
    return [{"Key": key, "Value": value} for key, value in tags]
