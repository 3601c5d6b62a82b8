"""Files of images, read on this machine and uploaded to the cloud if they are missing."""

import base64
import gzip
import hashlib
import os
import posixpath
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatch
from functools import partial
from typing import Any

from conducto.errors import UsageError
from conducto_client.transport.cloud import CloudClient, put
from conducto_core.api.cloud_operations import MAX_CONTEXT
from conducto_core.images import contexts, sources
from conducto_core.images import dockerfile as layers
from conducto_core.images.build_plan import Sources
from conducto_core.images.contexts import Context, ContextError, git_remarks
from conducto_core.images.model import CloneSource, ImageSources, ImageSpec
from conducto_core.images.references import git_access, without_password
from conducto_core.limits.rules import check_execs
from conducto_core.tree.rules.resolve import resolve

Say = Callable[[str], None]

#: Names of files that hold secrets more often than not.
_SECRETS = (
    ".env", ".env.*", "*.pem", "*.key", "*.p12", "*.pfx", "id_rsa", "id_dsa", "id_ecdsa",
    "id_ed25519", ".netrc", ".pgpass", ".pypirc", ".git-credentials", "credentials",
)  # fmt: skip
_NO_SECRETS = (".env.example", ".env.sample", ".env.template", "*.pub")
_NAMED = 5
_GIT_SECONDS = 60
_LARGE = 200 << 20


@dataclass(slots=True)
class Read:
    """Sources of the images.

    Attributes:
        sources: ``{image name: what to tell the cloud}``.
        contexts: ``{content hash: directory}``.
    """

    sources: dict[str, ImageSources] = field(default_factory=dict)
    contexts: dict[str, Context] = field(default_factory=dict)


def read(form: Mapping[str, Any], say: Say, only: Iterable[str] | None = None) -> Read:
    """Return the sources of the images of a launch form.

    Args:
        only: Names of images; None is all of them.

    Raises:
        UsageError: files of an image that a command needs cannot be read.
        DefinitionError: the tree is wrong, or cannot run in the cloud.
    """
    pipeline = resolve(form)
    check_execs(pipeline.execs())  # the cloud refuses it too, but after the uploads
    used = {node.placement.image for node in pipeline.execs()}
    wanted = pipeline.images if only is None else set(only)
    found = Read()
    for name, spec in pipeline.images.items():
        if name not in wanted or not _is_built(spec):
            continue
        try:
            gathered = sources.gather(spec, head_of, commit_of)
        except ContextError as error:
            if name in used:
                raise UsageError(f"image {name!r}: {error}") from error
            continue  # a generated tree may use it: then its nodes fail
        for context in gathered.contexts.values():
            for line in remarks(name, context):
                say(line)
        found.sources[name] = _sources_of(gathered.sources)
        found.contexts.update(gathered.contexts)
    return found


def upload(
    client: CloudClient, found: Mapping[str, Context], say: Say, maximum: int = MAX_CONTEXT
) -> int:
    """Upload the directories that the cloud lacks; return how many.

    Args:
        found: ``{content hash: directory}``.
        maximum: Bytes that a directory may have, packed.

    Raises:
        UsageError: one is too large, or changes while it is read.
    """
    missing = client.missing_contexts(tuple(found)) if found else {}
    for digest in missing:
        # Signed URLs are valid for minutes, but packing all directories may take longer.
        _upload(digest, found[digest], partial(_url, client, digest), say, maximum)
    return len(missing)


def _url(client: CloudClient, digest: str) -> str | None:
    return client.missing_contexts((digest,)).get(digest)


def _upload(
    digest: str, context: Context, get_url: Callable[[], str | None], say: Say, maximum: int
) -> None:
    packed = hashlib.sha256()
    with tempfile.TemporaryFile(prefix="conducto-") as file:
        try:
            # Without the time in its head, equal directories are equal bytes.
            with gzip.GzipFile(
                filename="", mode="wb", fileobj=file, mtime=0, compresslevel=6
            ) as zipped:
                for chunk in contexts.pack_for_upload(context):
                    zipped.write(chunk)
                    packed.update(chunk)
                    if file.tell() > maximum:
                        raise UsageError(_too_large(context, maximum))
        except ContextError as error:
            raise UsageError(str(error)) from error
        if packed.hexdigest() != digest:  # the build would refuse it, minutes later
            raise UsageError(f"{context.root!r} changed while it was read; launch again")
        size = file.tell()
        if size >= _LARGE:
            say(f"uploading {size / 1e6:.0f} MB of {context.root}")
        file.seek(0)
        url = get_url()
        if url is not None:  # None: another launch has uploaded it by now
            put(url, file, size)


def _too_large(context: Context, maximum: int) -> str:
    parts = ", ".join(f"{name} {size / 1e6:.0f} MB" for name, size in context.largest())
    return (
        f"{context.root!r} is more than {maximum / 2**30:g} GB packed, too much for an image "
        f"({parts}); leave out in {contexts.IGNORE_FILE} what the image does not need"
    )


def remarks(image: str, context: Context) -> Iterator[str]:
    for path in context.skipped:
        yield f"image {image!r}: left out {path!r}: sockets, pipes and devices cannot be copied"
    for remark in git_remarks(context):
        yield f"image {image!r}: {remark}"
    secrets = [entry.path for entry in context.entries if _looks_secret(entry.path)]
    if secrets:
        yield (
            f"warning: image {image!r} takes along {_several(secrets)}, which may hold secrets; "
            f"leave out in {context.root}/{contexts.IGNORE_FILE} what the image does "
            "not need, and use 'conducto secrets' for values"
        )
    links = [e.path for e in context.entries if e.link is not None and _leads_out(e.path, e.link)]
    if links:
        yield (
            f"image {image!r}: {_several(links)} is copied as a link, and leads out of "
            f"{context.root}: what it points to is not in the image"
        )


def _several(paths: list[str]) -> str:
    more = f" and {len(paths) - _NAMED} more" if len(paths) > _NAMED else ""
    return ", ".join(map(repr, paths[:_NAMED])) + more


def _looks_secret(path: str) -> bool:
    name = posixpath.basename(path)
    if any(fnmatch(name, pattern) for pattern in _NO_SECRETS):
        return False
    return any(fnmatch(name, pattern) for pattern in _SECRETS)


def _leads_out(path: str, link: str) -> bool:
    target = posixpath.normpath(posixpath.join(posixpath.dirname(path), link))
    return link.startswith("/") or target == ".." or target.startswith("../")


def _is_built(spec: ImageSpec) -> bool:
    return spec.image is None or layers.installs(spec) or layers.copies_code(spec)


def _sources_of(read_here: Sources) -> ImageSources:
    clone = read_here.clone
    return ImageSources(
        dockerfile=read_here.dockerfile,
        dockerfile_name=read_here.dockerfile_name,
        context=read_here.context,
        code=read_here.code,
        clone=None
        if clone is None
        else CloneSource(url=clone.url, branch=clone.branch, commit=clone.commit),
        code_env=dict(read_here.code_env),
        npm_files={n: base64.b64encode(c).decode() for n, c in read_here.npm_files.items()},
    )


def head_of(url: str, branch: str) -> str:
    """Return the commit that a branch of a repository is at.

    Raises:
        ContextError: git says no, or there is no such branch.
    """
    access = git_access(url)
    words = (*access.options, "ls-remote", "--", access.url, f"refs/heads/{branch}")
    said = _git(*words, env=access.env)
    if not said:
        raise ContextError(
            f"{without_password(url)!r}, branch {branch!r}: cannot be looked up; check the URL, "
            "that the branch is pushed, and that you may read it"
        )
    return said.split()[0]


def commit_of(directory: str) -> str | None:
    """Return the commit that is checked out in a directory, if one is."""
    return _git("-C", directory, "rev-parse", "--verify", "--quiet", "HEAD^{commit}")


def _git(*words: str, env: Mapping[str, str] | None = None) -> str | None:
    # Nobody is there to type a password.
    fixed = {"GIT_TERMINAL_PROMPT": "0", **(env or {})}
    try:
        done = subprocess.run(  # noqa: S603 - the user's own git and words
            ["git", *words],  # noqa: S607
            env={"GIT_SSH_COMMAND": "ssh -oBatchMode=yes", **os.environ, **fixed},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=_GIT_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None if done.returncode == 0 else None
