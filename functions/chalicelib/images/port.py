"""The image builder."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from conducto_core.api.cloud_operations import RegistryLogin


@dataclass(frozen=True, slots=True)
class BuildRequest:
    """The build of an image.

    Attributes:
        org: The organisation that owns the image.
        pipeline_id: The pipeline that is notified first of its end.
        tag: The tag in the registry.
        again: Number of the retry: equal requests within some minutes are one build.
        arch: Architecture of the machine that builds it; "": x86_64.
        urls: ``{environment variable: URL}``. CodeBuild limits all variables of a build to about
            5,500 characters, so everything else is in the file that the build fetches first.
    """

    org: str
    pipeline_id: str
    tag: str
    again: str
    urls: Mapping[str, str] = field(repr=False)
    arch: str = ""


BuildStatus = Literal["queued", "running", "succeeded", "failed", "timed_out", "stopped", "gone"]


class Builder(Protocol):
    """Builds images (CodeBuild) and pushes them to a registry (ECR).

    Each organisation has its own repository.
    """

    def reference(self, org: str, tag: str) -> str:
        """Return the reference with which workers pull an image."""

    def exists(self, org: str, tag: str) -> bool:
        """Return whether the registry has an image."""

    def login(self, org: str, session: str) -> RegistryLogin | None:
        """Return a login that can push to and pull from one organisation's repository only.

        Args:
            org: The organisation.
            session: Name of the session in CloudTrail: a user, or ``build-<tag>``.

        Returns:
            The login, or None if workers and builds share one engine.
        """

    def start(self, request: BuildRequest) -> str:
        """Start a build, once for equal requests, and return its id.

        Raises:
            ThrottledError: Retry later.
        """

    def status(self, build_id: str) -> BuildStatus:
        """Return the status of a build; ``gone`` if CodeBuild does not know it any more."""
