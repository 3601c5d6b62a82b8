"""What builds images."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from conducto_core.model.operations.cloud import RegistryLogin


@dataclass(frozen=True, slots=True)
class BuildRequest:
    """The build of an image.

    Attributes:
        org: Whose.
        pipeline_id: Who is told first of its end.
        tag: In the registry.
        again: Number of the try: the same order within some minutes is one build.
        urls: ``{environment variable: URL}``. CodeBuild limits all variables of a build to about
            5,500 characters, so all but these URLs are in the file that the build fetches first.
    """

    org: str
    pipeline_id: str
    tag: str
    again: str
    urls: Mapping[str, str] = field(repr=False)


BuildStatus = Literal["queued", "running", "succeeded", "failed", "timed_out", "stopped", "gone"]


class Builder(Protocol):
    """What builds images from recipes (CodeBuild), and the registry that they go to (ECR).

    An organisation's images are apart from those of others.
    """

    def reference(self, org: str, tag: str) -> str:
        """Return what workers know an image by."""

    def exists(self, org: str, tag: str) -> bool:
        """Return whether the registry has an image."""

    def login(self, org: str, session: str) -> RegistryLogin | None:
        """Return a login that pushes to and pulls from one organisation's repository alone.

        Args:
            org: The organisation.
            session: Name of the session in CloudTrail: a user, or ``build-<tag>``.

        Returns:
            The login, or None where workers and builds share one engine.
        """

    def start(self, order: BuildRequest) -> str:
        """Start a build, once for equal orders; return its id.

        Raises:
            ThrottledError: try again later.
        """

    def status(self, build_id: str) -> BuildStatus:
        """Return how a build is; ``gone`` where nobody knows it any more."""
