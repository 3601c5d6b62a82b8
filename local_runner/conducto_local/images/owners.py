"""The owner of code that is copied into an image: the user that its commands run as."""

from typing import Protocol

from conducto_core.images.contexts import ROOT, Owner
from conducto_local.ports import ImageError


class Files(Protocol):
    """Reads files of containers."""

    async def read_file(self, container: str, path: str) -> bytes | None:
        """Return the content of a file of a container, or None if there is none."""
        ...


def is_needed(user: str) -> bool:
    """Return whether an image's ``User`` is not root."""
    return user.partition(":")[0] not in {"", "0", "root"}


async def find(files: Files, container: str, user: str) -> Owner:
    """Return the ids of an image's ``User``, according to the image's own files.

    Raises:
        ImageError: The image has no such user or group.
    """
    if not is_needed(user):
        return ROOT
    name, _, group = user.partition(":")
    if name.isdigit() and group.isdigit():
        return int(name), int(group)
    users = _table(await files.read_file(container, "/etc/passwd"))
    groups = _table(await files.read_file(container, "/etc/group"))
    return _user_id(user, name, users), _group_id(user, group, name, users, groups)


def _table(text: bytes | None) -> list[list[str]]:
    lines = (text or b"").decode(errors="replace").splitlines()
    return [line.split(":") for line in lines if line.count(":") >= 3]  # noqa: PLR2004 - /etc/group


def _user_id(user: str, name: str, users: list[list[str]]) -> int:
    if name.isdigit():
        return int(name)
    found = next((row[2] for row in users if row[0] == name), "")
    return _id(user, found, "/etc/passwd")


def _group_id(
    user: str, group: str, name: str, users: list[list[str]], groups: list[list[str]]
) -> int:
    if group.isdigit():
        return int(group)
    if group:
        return _id(user, next((row[2] for row in groups if row[0] == group), ""), "/etc/group")
    # The group in the user's line; for a number without a line the engine uses group 0.
    return _id(user, next((row[3] for row in users if name in {row[0], row[2]}), "0"), "")


def _id(user: str, found: str, file: str) -> int:
    if not found.isdigit():
        raise ImageError(
            f"USER {user}: the image has no such user or group in {file}; add it or use a number"
        )
    return int(found)
