"""Commit statuses for pipelines that a Git event started: ``co.git``."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from conducto.tree.nodes import Node


def apply_status(parent: Node) -> None:
    """Report ``parent`` and every node below it as statuses of the commit being built.

    It does nothing unless ``CONDUCTO_GIT_URL`` and ``CONDUCTO_GIT_SHA`` are set, so a script may
    always call it. The list of a node's callbacks does not show it.
    """
    url = os.environ.get("CONDUCTO_GIT_URL")
    sha = os.environ.get("CONDUCTO_GIT_SHA")
    if not url or not sha:
        return
    from conducto.integrations.git import add_status_callback  # noqa: PLC0415 - rarely needed

    add_status_callback(parent, url, sha, inherited=True, user_display=False)


apply_status_all = apply_status
"""The name that generated scripts use."""
