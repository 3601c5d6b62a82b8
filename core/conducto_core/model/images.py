"""The definition of an image."""

import re

from conducto_core.model.base import Record

AUTO_SHELL = "__auto__"
CODE_DIR = "/mnt/conducto"
#: This package as a pip requirement, with or without extras and a version.
_PACKAGE = re.compile(r"\s*conducto\s*(\[[^\]]*\])?\s*([=<>!~].*)?", re.IGNORECASE)


def is_our_package(requirement: str) -> bool:
    """Return whether a pip requirement names this package, in any version.

    An index may hold older clients of that name, which do not work with this server.
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
