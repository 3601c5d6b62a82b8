"""Where the files of a launch's images come from."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from chalicelib.ports.identity import Identity
from chalicelib.services.dependencies import Dependencies
from chalicelib.services.git_clones import GitClones
from chalicelib.services.image_builds import known_sources
from conducto_core.errors import RefusedError
from conducto_core.model.image_sources import ImageSources
from conducto_core.model.images import ImageSpec
from conducto_core.model.records import ForeignChange, GitOrigin, ParentAttempt
from conducto_core.model.requests import LaunchRequest


@dataclass(frozen=True, slots=True)
class Origin:
    """The command that launches a pipeline.

    Attributes:
        foreign_change: That of its pipeline: the child runs without the owner's secrets, too.
        images: Images of its pipeline.
        sources: The contents of their files.
    """

    parent: ParentAttempt
    foreign_change: ForeignChange | None
    images: Mapping[str, ImageSpec]
    sources: Mapping[str, ImageSources]


def check_sent(sources: Mapping[str, ImageSources]) -> None:
    """Check the sources in a request of a client; stored ones may name who lends a token.

    Raises:
        RefusedError: One names a git trigger or a user, and would get their token.
    """
    for name, given in sources.items():
        if given.clone is not None and given.clone.is_lent:
            raise RefusedError(
                f"image {name!r}: a request cannot name the git trigger or the user whose token "
                "clones it; launch their pipeline again: conducto launch ID --same-tree"
            )


def with_sources(
    cloud: Dependencies,
    caller: Identity,
    request: LaunchRequest,
    used: Iterable[ImageSpec],
    origin: Origin | GitOrigin | None,
) -> LaunchRequest:
    """Return a request with the contents of files that its client did not send.

    Raises:
        RefusedError: A repository cannot be cloned.
        DeliveryError: Its server cannot be reached now.
    """
    match origin:
        case Origin():
            sources = known_sources(used, origin.images, origin.sources)
        case GitOrigin():
            return request
        case None:
            sources = GitClones(cloud, caller).with_clones(used, request.sources)
    return request.model_copy(update={"sources": sources})
