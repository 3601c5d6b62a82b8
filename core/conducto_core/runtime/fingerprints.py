"""The fingerprint of an Exec in an image, as `conducto_core.semantics.continuation` compares it."""

from collections.abc import Callable, Mapping
from typing import Protocol

from conducto_core.model.nodes import NodeSpec
from conducto_core.runtime.commands import CommandError, as_written, script_of
from conducto_core.semantics.continuation import fingerprint

#: The digest of an image that must be pulled or built first; no attempt has it.
_NOT_BUILT = "not built"


class AvailableImage(Protocol):
    """An image that containers can be started from."""

    @property
    def reference(self) -> str | None:
        """The name that identifies its content."""

    @property
    def workdir(self) -> str | None:
        """The working directory of its commands."""

    @property
    def path_map(self) -> Mapping[str, str]:
        """``{path on the host: path in the container}`` of its code."""


def fingerprint_in(
    spec: NodeSpec, image: AvailableImage | None, secrets: str, hide: Callable[[str], str]
) -> str | None:
    """Return the fingerprint that an attempt would have now, or None if its image has no digest.

    Args:
        spec: The resolved Exec.
        image: Its image; None if it must be pulled or built first.
        secrets: The version of its secrets.
        hide: Masks their values.
    """
    if image is None:
        return fingerprint(spec, as_written(spec), _NOT_BUILT, secrets, hide)
    try:
        script = script_of(spec, image.path_map, image.workdir)
    except CommandError:  # it fails when it runs
        script = as_written(spec)
    return fingerprint(spec, script, image.reference or None, secrets, hide)
