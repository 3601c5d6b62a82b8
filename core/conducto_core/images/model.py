"""The definition of an image."""

import re
from typing import Annotated

from pydantic import Field

from conducto.version import DISTRIBUTION
from conducto_core.record import Record

AUTO_SHELL = "__auto__"
CODE_DIR = "/mnt/conducto"
#: This package as a pip requirement: its import name or its distribution, with or without extras
#: and a version.
_NAMES = rf"(conducto|{DISTRIBUTION.replace('-', '[-_.]')})"
_PACKAGE = re.compile(rf"\s*{_NAMES}\s*(\[[^\]]*\])?\s*([=<>!~].*)?", re.IGNORECASE)


def is_our_package(requirement: str) -> bool:
    """Return whether a pip requirement names this package, in any version.

    ``conducto`` on an index is another client, which does not work with this server.
    """
    return _PACKAGE.fullmatch(requirement) is not None


class ImageSpec(Record):
    """One image definition, checked, with absolute host paths.

    At most one of ``image``, ``dockerfile`` and ``dockerfile_text`` is set, and at most one of
    ``copy_dir`` and ``copy_url``. ``copy_repo`` has already been converted to one of these two.

    Attributes:
        name: The name by which nodes refer to it; not part of the built image.
        image: A reference to pull, e.g. ``python:3.11-slim``.
        dockerfile_text: Text of a Dockerfile; without ``context`` it has an empty one.
        context: Absolute path of the build context; default: the Dockerfile's directory.
        docker_build_args: ``{ARG name: value}``.
        copy_dir: Absolute path of a directory whose contents are copied to ``CODE_DIR``.
        copy_url: URL of a git repository, cloned and copied to ``CODE_DIR``.
        copy_branch: Branch of ``copy_url``.
        copies_git: Keep ``.git`` in the copy (``copy_repo`` and clones).
        docker_auto_workdir: ``WORKDIR CODE_DIR`` when code was copied.
        install_pip: pip requirements; the name ``conducto`` means this package.
        install_npm: npm packages, or True for ``npm install``.
        path_map: ``{absolute host path: absolute path in the container}``.
        shell: Path of the shell that runs commands, or ``AUTO_SHELL``.
        arch: Architecture of its machines; "": the default of the cloud, or of the local engine.
    """

    name: str
    image: str | None = None
    dockerfile: str | None = None
    dockerfile_text: str | None = None
    context: str | None = None
    docker_build_args: dict[str, str] = {}
    copy_dir: str | None = None
    copy_url: str | None = None
    copy_branch: str | None = None
    copies_git: bool = False
    docker_auto_workdir: bool = True
    install_pip: tuple[str, ...] = ()
    install_npm: tuple[str, ...] | bool = ()
    install_packages: tuple[str, ...] = ()
    install_docker: bool = False
    path_map: dict[str, str] = {}
    shell: str = AUTO_SHELL
    arch: str = ""


# ----------------------------------------------------------------------------------------
# The files of images in a launch request to the cloud.
#
# The launching machine reads them (`conducto_core.images.sources`); directories are uploaded
# separately and are identified here by their content hash.


#: Content hash of a directory (`conducto_core.images.contexts.upload_hash`).
ContextHash = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
#: Maximum bytes of a Dockerfile's text, and of one input file of npm, in base64.
_MAX_TEXT = 1 << 20
_MAX_FILE = 8 << 20


class CloneSource(Record):
    """A commit of a git repository.

    Attributes:
        url: It may contain a password and is never shown.
        trigger: Git trigger whose token clones it when an image is built.
        user: User the token in whose secrets clones it when an image is built.
    """

    url: str = Field(max_length=4096, repr=False)
    branch: str = Field(max_length=1024)
    commit: str = Field(pattern=r"^[0-9a-f]{40,64}$")
    trigger: str | None = Field(default=None, max_length=100)
    user: str | None = Field(default=None, max_length=320)

    @property
    def is_lent(self) -> bool:
        """Whether a trigger or a user lends a token."""
        return self.trigger is not None or self.user is not None


class ImageSources(Record):
    """The wire form of `conducto_core.images.build_plan.Sources`.

    Attributes:
        npm_files: ``{name: content in base64}``.
    """

    dockerfile: str | None = Field(default=None, max_length=_MAX_TEXT)
    dockerfile_name: str | None = Field(default=None, max_length=4096)
    context: ContextHash | None = None
    code: ContextHash | None = None
    clone: CloneSource | None = None
    code_env: dict[str, str] = {}
    npm_files: dict[str, Annotated[str, Field(max_length=_MAX_FILE)]] = {}
