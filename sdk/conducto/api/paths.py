"""Paths of Conducto's files on a user's machine.

    <base>/config                        the default profile, preferences
    <base>/<profile>/config              the profile's address, token, shared directories
    <base>/<profile>/data/               data of the user, across pipelines
    <base>/<profile>/pipelines/<id>/     one pipeline, its data below ``data/``

``<base>`` is ``~/.conducto`` unless the variable ``CONDUCTO_BASE_DIR`` is set. Nothing here creates
a directory or needs one to exist.
"""

# pathlib is slow to import, and this runs at every call in a container.
# ruff: noqa: PTH118

from __future__ import annotations

import os

from conducto.files.directory import base_dir

__all__ = ["DEFAULT_PROFILE", "base_dir", "pipeline_dir", "profile_dir"]

DEFAULT_PROFILE = "default"


def profile_dir(profile: str) -> str:
    """Return the directory of one profile.

    Raises:
        ValueError: ``profile`` is not a plain file name.
    """
    return os.path.join(base_dir(), _plain_name(profile, "profile"))


def pipeline_dir(profile: str, pipeline_id: str) -> str:
    """Return the directory of one pipeline.

    Raises:
        ValueError: ``profile`` or ``pipeline_id`` is not a plain file name.
    """
    return os.path.join(profile_dir(profile), "pipelines", _plain_name(pipeline_id, "pipeline id"))


def _plain_name(name: str, what: str) -> str:
    if name in {"", ".", ".."} or "/" in name or "\0" in name or os.sep in name:
        raise ValueError(f"{name!r} cannot be a {what}: it must be a plain name without '/'.")
    return name
