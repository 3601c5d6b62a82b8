"""boto3's clients: made when first needed, then shared by everything in the process.

Making one takes some 100 ms, most of it reading the description of the service. Endpoints, regions
and credentials are boto3's own matter: its environment variables point the emulator's app at the
emulator.
"""

from collections.abc import Mapping
from threading import Lock
from typing import Any

#: A client of boto3, which has no types.
Client = Any

_TIMEOUT = 10.0
_ATTEMPTS = 3


class Clients:
    """One client a service.

    Args:
        region: AWS region; None takes what the environment says.
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
                self._made[key] = self._make(service, endpoint)
            return self._made[key]

    def once(self, service: str, seconds: float) -> Client:
        """Return the client of a service whose calls are tried once and may take some seconds.

        A call that was cut off may have been executed: the caller decides whether it is repeated.
        """
        with self._lock:
            key = service, f"once within {seconds:g} s"
            if key not in self._made:
                self._made[key] = self._make(service, None, attempts=1, seconds=seconds)
            return self._made[key]

    def lent(self, service: str, credentials: Mapping[str, Any]) -> Client:
        """Return a new client that has credentials of a role, as STS answers them."""
        return self._make(
            service,
            None,
            aws_access_key_id=credentials["AccessKeyId"],
            aws_secret_access_key=credentials["SecretAccessKey"],
            aws_session_token=credentials["SessionToken"],
        )

    def _make(
        self,
        service: str,
        endpoint: str | None,
        *,
        attempts: int = _ATTEMPTS,
        seconds: float = _TIMEOUT,
        **more: Any,
    ) -> Client:
        import boto3  # type: ignore[import-untyped]  # noqa: PLC0415  most requests need few
        from botocore.config import Config  # type: ignore[import-untyped]  # noqa: PLC0415

        config = Config(
            # A throttled call is tried twice more at once; after that whoever called decides.
            retries={"mode": "standard", "total_max_attempts": attempts},
            connect_timeout=_TIMEOUT,
            read_timeout=seconds,
            signature_version="s3v4" if service == "s3" else None,
            # Signed addresses name the bucket's own host in its region: pages may go there alone,
            # and that of all regions sends them on, which no browser follows with another's right.
            s3={"addressing_style": "virtual", "us_east_1_regional_endpoint": "regional"},
        )
        options = {**self._options, **more}
        if endpoint is not None:
            options["endpoint_url"] = endpoint
        return boto3.client(service, region_name=self._region, config=config, **options)
