"""A build service and a registry in memory."""

from itertools import count

from chalicelib.errors import ThrottledError
from chalicelib.images.port import BuildRequest, BuildStatus
from conducto_core.api.cloud_operations import RegistryLogin

REPOSITORY = "registry.invalid/images"


class FakeBuilder:
    """A fake `Builder`; a test controls the progress of its builds.

    Attributes:
        requests: ``{build id: request}`` of all builds.
        statuses: ``{build id: status}``; a test changes them.
        images: ``(org, tag)`` of images in the registry.
        deaf: Start requests are lost.
        full: No more builds are queued.
        logins: Number of logins so far.
    """

    def __init__(self) -> None:
        self.requests: dict[str, BuildRequest] = {}
        self.statuses: dict[str, BuildStatus] = {}
        self.images: set[tuple[str, str]] = set()
        self.deaf = False
        self.full = False
        self.logins = 0
        self._numbers = count(1)

    def reference(self, org: str, tag: str) -> str:
        return f"{REPOSITORY}/{org}:{tag}"

    def exists(self, org: str, tag: str) -> bool:
        return (org, tag) in self.images

    def login(self, org: str, session: str) -> RegistryLogin | None:
        """Return a login whose password contains the organisation, the session and a counter."""
        self.logins += 1
        return RegistryLogin(
            registry="registry.invalid",
            user="AWS",
            password=f"{org}/{session}/{self.logins}",
            expires=0.0,
        )

    def start(self, request: BuildRequest) -> str:
        for build_id, known in self.requests.items():
            if (known.tag, known.again) == (request.tag, request.again):
                return build_id
        if self.deaf:
            raise ConnectionError("the build service does not answer")
        if self.full:
            raise ThrottledError("Cannot have more than 0 builds in queue for the account")
        build_id = f"images:{next(self._numbers)}"
        self.requests[build_id] = request
        self.statuses[build_id] = "queued"
        return build_id

    def status(self, build_id: str) -> BuildStatus:
        return self.statuses.get(build_id, "gone")
