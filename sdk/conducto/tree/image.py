"""Images: definitions of the nodes' containers.

An `Image` stores the author's definition. `conducto.tree.image_form` resolves it, with defaults and
absolute paths, when the tree is printed or launched.
"""

# ruff: noqa: PLC0415, PTH100, PTH118
# imports wait until they are needed; pathlib is a heavy import.
# ruff: noqa: PLC0415, PTH118
# Imports wait until they are needed; pathlib is heavy; modules of the tree share its slots.

from __future__ import annotations

import os

from conducto.inspection import call_site
from conducto.wire import git_files, paths
from conducto.wire.lazy_form import PATH_FIELDS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional, TypedDict, Union

    from typing_extensions import Unpack

    PathLike = Union[str, "os.PathLike[str]"]
    Requirements = Union[List[str], None]

    class IgnoredImageParams(TypedDict, total=False):
        """Parameters of earlier versions; they have no effect."""

        pre_built: Any
        git_sha: Any


_PLACED = (
    *PATH_FIELDS,
    "copy_repo",
    "copy_url",
    "path_map",
)  # their meaning depends on the directory


def absolute(image: Image, path: Any) -> str:
    """Return the path relative to the file that created ``image``, as an absolute path."""
    joined = os.path.join(str(image.instantiation_directory), os.fspath(path))
    return os.path.normpath(joined)


def repository_of(image: Image) -> str:
    """Return the git checkout that contains the file that created ``image``.

    Inside a node, where the copy may lack its ``.git``, it is the directory to which the launching
    host's code was copied.

    Raises:
        ValueError: there is none.
    """
    directory = str(image.instantiation_directory)
    root = git_files.find_root(directory)
    if root is None and paths.to_host(directory) != directory:
        root = paths.CODE_DIR if paths.inside(directory, paths.CODE_DIR) else directory
    if root is None:
        raise ValueError(
            f"copy_repo=True was specified, but could not find Git root for {directory}."
        )
    return root


def plain_value(value: Any) -> Any:
    """Return a value of a definition with path objects converted to text."""
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, dict):
        return {plain_value(key): plain_value(item) for key, item in value.items()}
    return list(value) if isinstance(value, (tuple, set, frozenset)) else value


def derived_name(image: Image) -> str:
    """Return a name derived from the definition: a readable part and eight digits of its hash."""
    import hashlib
    import json

    definition = {key: plain_value(getattr(image, key)) for key in FIELDS if key != "name"}
    if any(definition[key] for key in _PLACED):
        definition["directory"] = paths.to_host(str(image.instantiation_directory))
    text = json.dumps(definition, sort_keys=True, default=str)
    digest = hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:8]
    base = image.image if isinstance(image.image, str) else "image"
    readable = "".join(c if c.isalnum() and c.isascii() else "-" for c in base.lower())
    return "{}-{}".format(readable.strip("-")[:40], digest)


relpath = paths.relpath

# The names in the order of the wire form. The last five are left out once a tree is resolved.
FIELDS = [
    "name",
    "image",
    "dockerfile",
    "dockerfile_text",
    "docker_build_args",
    "docker_auto_workdir",
    "context",
    "copy_repo",
    "copy_dir",
    "copy_url",
    "copy_branch",
    "install_pip",
    "install_npm",
    "install_packages",
    "install_docker",
    "path_map",
    "shell",
]
UNRESOLVED = ("instantiation_directory", "reqs_py", "reqs_npm", "reqs_packages", "reqs_docker")
_IGNORED = ("pre_built", "git_sha")


class Image:
    """An image that nodes run in.

    At most one of ``image``, ``dockerfile`` and ``dockerfile_text`` defines its base; without any,
    it is the Python image of the launching interpreter's version, with conducto installed unless
    ``install_pip`` is set. Relative paths are relative to the file that creates the Image.

    Attributes:
        image: Reference to pull, e.g. ``"python:3.11-slim"``.
        dockerfile: Path of a Dockerfile to build.
        dockerfile_text: Text of a Dockerfile to build.
        docker_build_args: ``{ARG name: value}`` of the build.
        context: Build context; by default the Dockerfile's directory.
        copy_repo: Copy the git checkout that contains the calling file to ``/mnt/conducto``.
        copy_dir: Directory to copy to ``/mnt/conducto``.
        copy_url: URL of a git repository to clone to ``/mnt/conducto``.
        copy_branch: Branch of ``copy_url``, or of the checkout's origin with ``copy_repo``.
        docker_auto_workdir: Commands start in ``/mnt/conducto`` if code was copied.
        install_pip: Python packages to install; ``"conducto"`` means this package.
        install_npm: npm packages to install, or True for ``npm install``.
        install_packages: Packages of the image's Linux distribution to install.
        install_docker: Install a docker client.
        path_map: ``{path here: path in the container}`` for code that a Dockerfile copies.
        shell: Path of the shell that runs commands, or `Image.AUTO` for the best available.
        git_urls: Further URLs of the repository.
        instantiation_directory: Base of relative paths.
    """

    AUTO = "__auto__"

    # With a __dict__: scripts set attributes of their own on an image, such as the path of its
    # code.
    __slots__ = (
        *(name for name in FIELDS if name != "name"),
        *UNRESOLVED,
        "__dict__",
        "_name",
        "git_urls",
    )

    def __init__(
        self,
        image: Optional[str] = None,
        *,
        dockerfile: Optional[PathLike] = None,
        dockerfile_text: Optional[str] = None,
        docker_build_args: Optional[Dict[str, str]] = None,
        context: Optional[PathLike] = None,
        copy_repo: Optional[bool] = None,
        copy_dir: Optional[PathLike] = None,
        copy_url: Optional[str] = None,
        copy_branch: Optional[str] = None,
        docker_auto_workdir: bool = True,
        install_pip: Requirements = None,
        install_npm: Union[List[str], bool, None] = None,
        install_packages: Requirements = None,
        install_docker: bool = False,
        path_map: Optional[Dict[str, str]] = None,
        shell: str = AUTO,
        name: Optional[str] = None,
        git_urls: Optional[List[str]] = None,
        instantiation_directory: Optional[PathLike] = None,
        reqs_py: Requirements = None,
        reqs_npm: Union[List[str], bool, None] = None,
        reqs_packages: Requirements = None,
        reqs_docker: bool = False,
        **kwargs: Unpack[IgnoredImageParams],
    ) -> None:
        """Store the definition; it is checked when a tree with it is printed or launched.

        The ``reqs_*`` parameters are the older names of ``install_*``.

        Raises:
            ValueError: an unknown parameter, or ``copy_repo`` outside of a git checkout.
        """
        unknown = {key: value for key, value in kwargs.items() if key not in _IGNORED}
        if unknown:
            raise ValueError(f"unknown args: {unknown!r}{_nearest(next(iter(unknown)))}")
        self._name = name
        self.image = image
        self.dockerfile = dockerfile
        self.dockerfile_text = dockerfile_text
        self.docker_build_args = docker_build_args
        self.context = context
        self.copy_repo = copy_repo
        self.copy_dir = copy_dir
        self.copy_url = copy_url
        self.copy_branch = copy_branch
        self.docker_auto_workdir = docker_auto_workdir
        self.reqs_py = reqs_py
        self.reqs_npm = reqs_npm
        self.reqs_packages = reqs_packages
        self.reqs_docker = reqs_docker
        self.install_pip = install_pip or reqs_py
        self.install_npm = install_npm or reqs_npm
        self.install_packages = install_packages or reqs_packages
        self.install_docker = install_docker or reqs_docker
        self.path_map = path_map
        self.shell = shell
        self.git_urls = git_urls
        self.instantiation_directory = (
            call_site.caller_directory()
            if instantiation_directory is None
            else os.path.abspath(os.fspath(instantiation_directory))
        )
        if copy_repo:
            repository_of(self)  # raises now, at the author's line, if there is none

    @property
    def is_named(self) -> bool:
        """Whether the author gave it a name."""
        return self._name is not None

    @property
    def name(self) -> str:
        """The given name, or one derived from the definition: equal images have equal names."""
        if self._name is None:
            return derived_name(self)
        return self._name

    @name.setter
    def name(self, value: Optional[str]) -> None:
        self._name = value

    def to_dict(self) -> Dict[str, Any]:
        """Return the definition as written, with ``name`` and directory."""
        return {name: getattr(self, name) for name in (*FIELDS, *UNRESOLVED)}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Image) and self.to_dict() == other.to_dict()

    __hash__ = None  # type: ignore[assignment]  # equal by content, and the content may change

    def __repr__(self) -> str:
        given = [
            f"{key}={value!r}"
            for key, value in self.to_dict().items()
            if key not in UNRESOLVED and value not in (None, False, self.AUTO)
        ]
        return "Image({})".format(", ".join(given))

    @classmethod
    def share_directory(cls, name: str, relative: PathLike) -> None:
        """Register a directory under a name with which other machines can find their copy of it.

        Args:
            name: The name.
            relative: The directory, absolute or relative to the calling file.
        """
        full = os.path.normpath(os.path.join(call_site.caller_directory(), os.fspath(relative)))
        paths.shares[name] = full

    register_directory = share_directory

    @staticmethod
    def get_contextual_path(
        p: PathLike,
        named_shares: bool = True,
        branch: Optional[str] = None,
        url: Optional[str] = None,
    ) -> paths.Path:
        """Return ``p`` as a path object with marks at git checkouts and shared directories.

        Args:
            p: Absolute path, or one relative to the calling file.
            named_shares: Add the marks; otherwise, the path is left unmarked.
            branch: Branch for the mark of a checkout.
            url: URL for the mark of a checkout.
        """
        full = os.path.normpath(os.path.join(call_site.caller_directory(), os.fspath(p)))
        return paths.Path.from_absolute(full, marks=named_shares, branch=branch, url=url)


def _nearest(word: str) -> str:
    from conducto.wire.printable import suggestion

    return suggestion(word, (*FIELDS, *UNRESOLVED, "git_urls"))
