"""Directories packed into uncompressed tar files, and unpacked without trusting them.

Any node may have written a cache, and it is unpacked as the user who restores it. So a member must
not be outside of the directory it is unpacked into, nor be written through a link that leads there,
nor be a device; owners and set-id bits in the archive are ignored. A symbolic link may point
anywhere, because directories worth caching (virtual environments) contain such links, and nothing
here follows one.
"""

# pathlib is slow to import, and this runs at every call in a container.
# ruff: noqa: PTH100, PTH101, PTH103, PTH108, PTH112, PTH113, PTH114, PTH118, PTH119, PTH120

from __future__ import annotations

import os
import tarfile

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import IO


def pack(directory: str, stream: IO[bytes]) -> None:
    """Write ``directory``, under its base name, as an uncompressed tar to ``stream``.

    Sockets, pipes and devices are left out.

    Raises:
        FileNotFoundError: There is no such directory.
        ValueError: The directory has no base name, such as ``/``.
    """
    base = os.path.basename(os.path.abspath(directory))
    if not base:
        raise ValueError(f"{directory!r} cannot be cached: it has no name of its own.")
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as archive:
        archive.add(directory, arcname=base, filter=_plain)


def _plain(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    return member if member.isreg() or member.isdir() or _is_link(member) else None


def _is_link(member: tarfile.TarInfo) -> bool:
    return member.issym() or member.islnk()


def unpack(stream: IO[bytes], directory: str) -> None:
    """Unpack a tar into ``directory``, which is created if needed.

    A tar with one directory, of the same name as ``directory``, becomes ``directory``. Names and
    kinds are checked before anything is written.

    Args:
        stream: The tar, compressed or not; it must be seekable.
        directory: Destination of its members.

    Raises:
        ValueError: The file is damaged, or a member is unsafe; its name is in the text.
    """
    try:
        with tarfile.open(fileobj=stream, mode="r:*") as archive:
            members = archive.getmembers()
            for member in members:
                if _plain(member) is None:
                    raise ValueError(f"unsafe member {member.name!r}: it is a device or a pipe")
                _check_name(member, member.name)
                if member.islnk():
                    _check_name(member, member.linkname)
            directory = _place(members, directory)
            os.makedirs(directory, exist_ok=True)
            _extract_all(archive, members, os.path.realpath(directory))
    except tarfile.TarError as error:
        raise ValueError(f"the archive is not a complete tar file: {error}") from error


def _place(members: list[tarfile.TarInfo], directory: str) -> str:
    """Return the directory that the members' names are relative to."""
    parent, name = os.path.split(os.path.abspath(directory))
    is_same = all(f"{member.name}/".startswith(f"{name}/") for member in members)
    return parent if members and is_same else directory


def _check_name(member: tarfile.TarInfo, name: str) -> None:
    if name.startswith("/") or ".." in name.split("/"):
        raise ValueError(f"unsafe member {member.name!r}: {name!r} leads out of the directory")


def _extract_all(archive: tarfile.TarFile, members: list[tarfile.TarInfo], directory: str) -> None:
    directories = []
    for member in members:
        member.uid, member.gid = os.geteuid(), os.getegid()
        member.uname = member.gname = ""
        member.mode &= 0o777
        _check_way(member, directory, member.name)
        if member.islnk():
            _check_way(member, directory, member.linkname)
            _check_file(member, os.path.join(directory, member.linkname))
        _clear_way(member, os.path.join(directory, member.name))
        set_attrs = not member.isdir()
        if hasattr(tarfile, "fully_trusted_filter"):  # newer patch releases require it
            archive.extract(member, directory, set_attrs=set_attrs, filter="fully_trusted")
        else:
            archive.extract(member, directory, set_attrs=set_attrs)
        if member.isdir():
            directories.append(member)
    # Last, children first: a read-only directory could not be filled any more.
    for member in reversed(directories):
        # Check the directory itself again: a later member may have created a link on its path.
        _check_way(member, directory, os.path.join(member.name, ""))
        path = os.path.join(directory, member.name)
        os.chmod(path, member.mode)
        os.utime(path, (member.mtime, member.mtime))


def _check_way(member: tarfile.TarInfo, directory: str, name: str) -> None:
    """Reject a path whose directories, as they are on disk now, lead outside."""
    parent = os.path.realpath(os.path.join(directory, os.path.dirname(name)))
    if parent != directory and not parent.startswith(directory.rstrip("/") + "/"):
        raise ValueError(f"unsafe member {member.name!r}: a link leads out of the directory")


def _check_file(member: tarfile.TarInfo, target: str) -> None:
    """Reject a hard link to anything but a file: setting its permissions would follow a link."""
    if os.path.islink(target) or not os.path.isfile(target):
        raise ValueError(f"unsafe member {member.name!r}: a hard link to a non-file")


def _clear_way(member: tarfile.TarInfo, path: str) -> None:
    """Remove an entry at the member's path, so that nothing is written through it."""
    if member.isdir():
        if os.path.islink(path):
            os.unlink(path)
    elif os.path.lexists(path) and (os.path.islink(path) or not os.path.isdir(path)):
        os.unlink(path)
