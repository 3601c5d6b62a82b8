"""Directories for images: read, named by content, and packed in chunks.

Only this module reads users' files.
"""

import hashlib
import io
import os
import posixpath
import re
import stat
import tarfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

from conducto.files.directory import base_dir
from conducto_core.images import git_index

# ----------------------------------------------------------------------------------------
# The rules of ``.dockerignore``.
#
# Source of the rules: Docker's reference of the file. Patterns are relative to the context's root;
# a pattern that matches a directory covers everything below it; ``!`` makes an exception; the last
# pattern that matches decides.


_WILDCARD = re.compile(r"[*?\[\\]")


@dataclass(frozen=True, slots=True)
class _Pattern:
    regex: re.Pattern[str]
    takes_back: bool
    literal: str
    """The pattern up to its first wildcard."""


@dataclass(frozen=True, slots=True)
class Ignore:
    """The files that a context leaves out."""

    patterns: tuple[_Pattern, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the rules of a file's text.

        Raises:
            ValueError: a pattern is invalid; the message names it.
        """
        lines = (line.strip() for line in text.removeprefix("\ufeff").splitlines())
        wanted = [line for line in lines if line and not line.startswith("#")]
        return cls(tuple(pattern for pattern in map(_pattern, wanted) if pattern is not None))

    def with_lines(self, *lines: str) -> "Ignore":
        """Return the rules with more lines appended."""
        return Ignore((*self.patterns, *Ignore.parse("\n".join(lines)).patterns))

    def excludes(self, path: str) -> bool:
        """Return whether a path (relative, ``/`` between names) is left out."""
        excluded = False
        for pattern in self.patterns:
            # Only a pattern that would change the result is worth matching.
            if pattern.takes_back == excluded and pattern.regex.match(path):
                excluded = not pattern.takes_back
        return excluded

    def prunes(self, directory: str) -> bool:
        """Return whether no exception can apply below an excluded directory."""
        below = directory + "/"
        return not any(
            pattern.literal.startswith(below) or below.startswith(pattern.literal)
            for pattern in self.patterns
            if pattern.takes_back
        )


def _pattern(line: str) -> _Pattern | None:
    takes_back = line.startswith("!")
    body = line[1:].strip() if takes_back else line
    clean = posixpath.normpath("/" + body).lstrip("/")
    if not clean:
        return None
    try:
        regex = re.compile(f"(?:{_translate(clean)})(?:/.*)?\\Z", re.DOTALL)
    except re.error as error:
        raise ValueError(f"cannot read the pattern {line!r}: {error}") from error
    wildcard = _WILDCARD.search(clean)
    literal = clean if wildcard is None else clean[: wildcard.start()]
    return _Pattern(regex, takes_back, literal)


def _translate(pattern: str) -> str:
    result = []
    position = 0
    while position < len(pattern):
        rest = pattern[position:]
        if rest.startswith("**/"):
            part, length = "(?:.*/)?", 3
        elif rest.startswith("**"):
            part, length = ".*", 2
        elif rest[0] == "*":
            part, length = "[^/]*", 1
        elif rest[0] == "?":
            part, length = "[^/]", 1
        elif rest[0] == "[" and "]" in rest[2:]:
            length = rest.index("]", 2) + 1
            part = rest[:length].replace("\\", "\\\\")
        elif rest[0] == "[" or rest == "\\":  # Docker refuses them, too
            raise re.error(f"nothing closes {rest!r}" if rest[0] == "[" else "'\\' ends it")
        elif rest[0] == "\\":
            part, length = re.escape(rest[1]), 2
        else:
            part, length = re.escape(rest[0]), 1
        result.append(part)
        position += length
    return "".join(result)


IGNORE_FILE = ".dockerignore"
CHUNK = 1 << 20
TAR_END = b"\0" * (2 * tarfile.BLOCKSIZE)
#: Seconds; a file modified more recently may change again with the same time stamp.
_SETTLED = 2.0
#: Time stamp of all uploaded files, so that equal directories are equal tars. Zip files do not
#: allow times before 1980.
_UPLOAD_TIME = 315_619_200


class ContextError(Exception):
    """A directory cannot be used for an image; the message has the reason and a remedy."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One file, directory or symbolic link of a context.

    Attributes:
        path: Relative path with ``/`` between names.
        size: Bytes; 0 unless it is a file.
        link: Target of a symbolic link, which is kept as a link.
        content: Bytes that are copied instead of those of the file.
    """

    path: str
    source: str
    mode: int
    size: int
    modified_ns: int
    key: tuple[int, ...]
    link: str | None = None
    content: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Context:
    """A directory with the files for an image.

    Attributes:
        entries: In the order of their paths, so parents come first.
        skipped: Paths of entries that cannot be copied: sockets, pipes and devices.
    """

    root: str
    entries: tuple[Entry, ...]
    skipped: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        return sum(entry.size for entry in self.entries)

    def largest(self, count: int = 3) -> list[tuple[str, int]]:
        """Return the largest ``(top-level name, bytes)``, largest first."""
        sizes: dict[str, int] = {}
        for entry in self.entries:
            top = entry.path.partition("/")[0]
            sizes[top] = sizes.get(top, 0) + entry.size
        return sorted(sizes.items(), key=lambda item: -item[1])[:count]


@dataclass(slots=True)
class Digests:
    """Content hashes of files, cached while the files do not change."""

    _known: dict[str, tuple[tuple[int, ...], str]] = field(default_factory=dict)

    def digest(self, entry: Entry) -> str:
        """Return the SHA-256 of a file in hex.

        Raises:
            ContextError: it cannot be read.
        """
        if entry.content is not None:
            return hashlib.sha256(entry.content).hexdigest()
        known = self._known.get(entry.source)
        if known is not None and known[0] == entry.key:
            return known[1]
        with _opened(entry) as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if time.time() - entry.modified_ns / 1e9 > _SETTLED:
            self._known[entry.source] = (entry.key, digest)
        return digest


def read_ignore(root: str, dockerfile: str | None = None) -> Ignore:
    """Return the rules for a context: the Dockerfile's own ignore file, or the context's.

    Raises:
        ContextError: the file cannot be read or is invalid.
    """
    candidates = [Path(root) / IGNORE_FILE]
    if dockerfile is not None:
        candidates.insert(0, Path(dockerfile + IGNORE_FILE))
    for path in candidates:
        try:
            return Ignore.parse(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            continue
        except (OSError, ValueError) as error:
            raise ContextError(f"{path}: {error}") from error
    return Ignore()


def read_context(root: str, ignore: Ignore) -> Context:
    """Return the contents of a directory, without those that ``ignore`` excludes.

    Conducto's own files (`conducto.files.directory`), which contain tokens and secrets, are always
    left out.

    Raises:
        ContextError: it is missing, not a directory, the whole file system, or cannot be listed.
    """
    try:
        real = Path(root).resolve(strict=True)
    except FileNotFoundError as error:
        raise ContextError(f"{root!r} does not exist; check the path") from error
    except (OSError, RuntimeError) as error:  # RuntimeError: a link that points to itself
        raise ContextError(f"{root!r} cannot be followed: {error}") from error
    if not real.is_dir():
        raise ContextError(f"{root!r} is not a directory; name the directory that contains it")
    if real == Path(real.anchor):
        raise ContextError(f"{root!r} is the whole file system; name a directory of code")
    skipped: list[str] = []
    entries = tuple(sorted(_walk(str(real), "", ignore, skipped), key=lambda entry: entry.path))
    return Context(str(real), entries, tuple(skipped))


def _walk(folder: str, prefix: str, ignore: Ignore, skipped: list[str]) -> Iterator[Entry]:
    ours = os.path.realpath(base_dir())
    pending = [(folder, prefix)]
    while pending:
        here, above = pending.pop()
        try:
            found = list(os.scandir(here))
        except OSError as error:
            raise ContextError(
                f"{here!r} cannot be listed: {error.strerror}; "
                f"make it readable or leave it out in {IGNORE_FILE}"
            ) from error
        for item in found:
            if item.path == ours:
                continue
            path = above + item.name
            excluded = ignore.excludes(path)
            is_folder = item.is_dir(follow_symlinks=False)
            if is_folder and not (excluded and ignore.prunes(path)):
                pending.append((item.path, path + "/"))
            if excluded:
                continue
            entry = _entry(item, path)
            if entry is not None:
                yield _normalized(entry)
            else:
                skipped.append(path)


def _entry(item: os.DirEntry[str], path: str) -> Entry | None:
    try:
        status = item.stat(follow_symlinks=False)
        link = os.readlink(item.path) if stat.S_ISLNK(status.st_mode) else None  # noqa: PTH115
    except FileNotFoundError:  # deleted since it was listed, e.g. an editor's temporary file
        return None
    is_file = stat.S_ISREG(status.st_mode)
    if not (is_file or stat.S_ISDIR(status.st_mode) or link is not None):
        return None
    return Entry(
        path=path,
        source=item.path,
        mode=status.st_mode,
        size=status.st_size if is_file else 0,
        modified_ns=status.st_mtime_ns,
        key=(status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino),
        link=link,
    )


def _normalized(entry: Entry) -> Entry:
    """Return an entry with the content to copy, if it differs between equal checkouts."""
    if not (stat.S_ISREG(entry.mode) and git_index.is_index(entry.path)):
        return entry
    with _opened(entry) as file:
        written = file.readall()
    content = git_index.normalized(written)
    return replace(entry, content=content, size=len(content))


def tree_hash(context: Context, digests: Digests) -> str:
    """Return the content hash of a context: paths, modes, links and contents, not times.

    Raises:
        ContextError: a file cannot be read.
    """
    whole = hashlib.sha256()
    for entry in context.entries:
        content = digests.digest(entry) if stat.S_ISREG(entry.mode) else entry.link
        whole.update(repr((entry.path, entry.mode, content)).encode("utf-8", "surrogatepass"))
    return whole.hexdigest()


#: User and group id.
Owner = tuple[int, int]
ROOT: Owner = (0, 0)


def upload_hash(context: Context) -> str:
    """Return the SHA-256 of the output of `pack_for_upload`, with which a build checks the upload.

    Raises:
        ContextError: a file cannot be read, or shrank while it was packed.
    """
    whole = hashlib.sha256()
    for chunk in pack_for_upload(context):
        whole.update(chunk)
    return whole.hexdigest()


def pack_for_upload(context: Context) -> Iterator[bytes]:
    """Yield a tar of the context, as `pack` does; equal directories give equal bytes.

    Raises:
        ContextError: a file cannot be read, or shrank while it was packed.
    """
    entries = (replace(e, modified_ns=_UPLOAD_TIME * 1_000_000_000) for e in context.entries)
    return pack(replace(context, entries=tuple(entries)))


def pack(context: Context, prefix: str = "", owner: Owner = ROOT) -> Iterator[bytes]:
    """Yield a tar of the context in chunks of about `CHUNK` bytes.

    Only one chunk is in memory at a time.

    Raises:
        ContextError: a file cannot be read, or shrank while it was packed.
    """
    buffer = bytearray()
    for entry in context.entries:
        buffer += _header(entry, prefix, owner)
        if entry.size > 0:
            for chunk in _content(entry):
                buffer += chunk
                if len(buffer) >= CHUNK:
                    yield bytes(buffer)
                    buffer.clear()
            buffer += b"\0" * (-entry.size % tarfile.BLOCKSIZE)
    buffer += TAR_END
    yield bytes(buffer)


def pack_files(
    files: Mapping[str, bytes], folders: tuple[str, ...] = (), owner: Owner = ROOT
) -> bytes:
    """Return a tar of small files ``{path: content}``; equal files give equal bytes.

    It has no end mark, so that another tar can follow.
    """
    result = bytearray()
    for path in folders:
        info = tarfile.TarInfo(path)
        info.type, info.mode = tarfile.DIRTYPE, 0o755
        info.uid, info.gid = owner
        result += info.tobuf(tarfile.PAX_FORMAT)
    for path, content in sorted(files.items()):
        info = tarfile.TarInfo(path)
        info.size, info.mode = len(content), 0o644
        result += info.tobuf(tarfile.PAX_FORMAT)
        result += content + b"\0" * (-len(content) % tarfile.BLOCKSIZE)
    return bytes(result)


def _header(entry: Entry, prefix: str, owner: Owner) -> bytes:
    info = tarfile.TarInfo(prefix + entry.path)
    info.uid, info.gid = owner
    info.mode = stat.S_IMODE(entry.mode)
    info.mtime = entry.modified_ns // 1_000_000_000
    info.size = entry.size
    if stat.S_ISDIR(entry.mode):
        info.type = tarfile.DIRTYPE
    elif entry.link is not None:
        info.type, info.linkname = tarfile.SYMTYPE, entry.link
    return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")


def _content(entry: Entry) -> Iterator[bytes]:
    if entry.content is not None:
        yield entry.content
        return
    left = entry.size  # bytes added since the header was written are left out
    with _opened(entry) as file:
        while left > 0:
            chunk = file.read(min(left, CHUNK))
            if not chunk:
                raise ContextError(
                    f"{entry.source!r} shrank while it was copied; "
                    f"leave it out in {IGNORE_FILE} or stop the process that writes it"
                )
            left -= len(chunk)
            yield chunk


def _opened(entry: Entry) -> io.FileIO:
    try:
        return io.FileIO(entry.source)
    except OSError as error:
        raise ContextError(
            f"{entry.source!r} cannot be read: {error.strerror}; "
            f"make it readable or leave it out in {IGNORE_FILE}"
        ) from error


# ----------------------------------------------------------------------------------------
# Warnings about files that a copy of a git checkout lacks.


#: First line of a file whose content is in Git LFS, and possible sizes of such a file.
_POINTER = b"version https://git-lfs.github.com/spec/v1\n"
_POINTER_SIZES = range(100, 1024)
#: Maximum bytes to read of a file.
_READ = 1 << 16
#: Maximum number of pointers to name.
_NAMED = 3


def git_remarks(context: Context) -> Iterator[str]:
    """Yield warnings about a checkout that is copied into an image."""
    for entry in context.entries:
        if entry.path == ".git" or entry.path.endswith("/.git"):
            yield from _worktree(entry)
    has_lfs = any(map(_names_lfs, context.entries))
    pointers = [entry.path for entry in context.entries if has_lfs and _is_pointer(entry)]
    if pointers:
        named = ", ".join(map(repr, pointers[:_NAMED]))
        more = f" and {len(pointers) - _NAMED} more" if len(pointers) > _NAMED else ""
        yield (
            f"warning: {named}{more} are pointers of Git LFS, not the files themselves; "
            "install git-lfs and run 'git lfs install && git lfs pull', then launch again"
        )


def _worktree(entry: Entry) -> Iterator[str]:
    """Yield a warning if the repository is outside; a submodule's, with a relative path, is not."""
    if entry.size == 0 or entry.link is not None:
        return
    target = _read(entry).decode(errors="replace").removeprefix("gitdir: ").strip()
    if target.startswith("/"):
        yield (
            f"warning: {entry.path!r} is a file that points to {target} on this machine, as in a "
            "worktree of git: git does not work in the image. Launch from a clone if it must"
        )


def _names_lfs(entry: Entry) -> bool:
    return entry.path.rpartition("/")[2] == ".gitattributes" and b"filter=lfs" in _read(entry)


def _is_pointer(entry: Entry) -> bool:
    is_file = entry.link is None and entry.size in _POINTER_SIZES
    return is_file and _read(entry).startswith(_POINTER)


def _read(entry: Entry) -> bytes:
    try:
        with Path(entry.source).open("rb") as file:
            return file.read(_READ)
    except OSError:
        return b""
