"""Base images made from Debian packages, for machines that cannot pull.

Tests and the demo need names such as ``python:3.11-slim``. Where the engine neither has nor
can pull one, this makes an image that serves in its place and gives it that tag. The product
does not know this: it finds a local tag and uses it.

``python:X-slim`` are one image: Debian with its own Python under every name. It proves that
things run, not that they run on that version.

Run as ``python tests/support/stand_ins.py NAME…``; without names it makes all of them.
"""

from __future__ import annotations

import argparse
import hashlib
import http.client
import io
import json
import os
import shlex
import shutil
import socket
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import BinaryIO

LABEL = "com.conducto.stand-in"
PYTHON_TAGS = tuple(f"python:3.{minor}-slim" for minor in range(8, 14))
DEBIAN_TAGS = (*PYTHON_TAGS, "conducto-test/debian:latest")
BUSYBOX_TAGS = ("busybox:latest", "alpine:latest", "conducto-test/busybox:latest")
BASH_TAGS = ("bash:latest",)
POSTGRES_TAGS = ("postgres:16",)
REDIS_TAGS = ("redis:7",)
ALL = (*DEBIAN_TAGS, *BUSYBOX_TAGS, *BASH_TAGS, *POSTGRES_TAGS, *REDIS_TAGS)
#: Names for our own tests, which no registry has.
OURS = "conducto-test/"
# Increment when a recipe below changes, to rebuild cached tars and old tags.
RECIPE = "4"
PULL_SECONDS = 60
PACKAGES = ("python3", "python3-pip", "python3-venv", "bash", "dash", "ca-certificates")
#: Of the images of services; the libraries of compiled queries alone would be a third of them.
SERVICE_PACKAGES = ("postgresql", "redis-server", "dash", "coreutils", "util-linux", "sed", "grep")
SERVICE_EXCLUDED = (
    *("/usr/lib/*/libLLVM*", "/usr/lib/*/libz3*", "/usr/lib/postgresql/*/lib/bitcode/*"),
    *("/usr/lib/postgresql/*/lib/llvmjit*", "/usr/share/perl/*", "/usr/lib/*/perl/*"),
    *("/usr/share/i18n/*", "/usr/share/locale/*", "/usr/share/man/*", "/usr/share/doc/*"),
)
#: As that of the official image: a database needs a password.
POSTGRES_ENTRYPOINT = """#!/bin/sh
set -eu
[ "${1-}" = postgres ] || exec "$@"
if [ -z "${POSTGRES_PASSWORD-}" ]; then
    echo "Error: Database is uninitialized and superuser password is not specified." >&2
    exit 1
fi
export PGDATA=/var/lib/postgresql/data
as="setpriv --reuid=postgres --regid=postgres --clear-groups"
printf %s "$POSTGRES_PASSWORD" >/tmp/password
chmod 644 /tmp/password
$as initdb --no-sync --no-locale --encoding=UTF8 --auth=scram-sha-256 --pwfile=/tmp/password
echo "host all all all scram-sha-256" >>$PGDATA/pg_hba.conf
exec $as "$@" -c listen_addresses='*'
"""
HOST_BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")
HOST_ANCHORS = Path("/usr/local/share/ca-certificates")
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class StandInError(Exception):
    """A stand-in cannot be created; the message has the remedy."""


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("engine", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def engine_socket() -> str:
    """Return the path of the socket of the engine that the tests use: that of ``DOCKER_HOST``."""
    host = os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock"
    return host.removeprefix("unix://")


def is_podman() -> bool:
    return "Podman" in call("GET", "/version")[1].decode()


def call(
    method: str,
    path: str,
    params: dict[str, object] | None = None,
    *,
    body: BinaryIO | bytes | None = None,
    timeout: float = 300,
    kind: str = "application/x-tar",
) -> tuple[int, bytes]:
    """Return the status and the body of one request to the engine.

    Raises:
        StandInError: No engine listens on the socket.
    """
    host = engine_socket()
    connection = _UnixConnection(host, timeout)
    query = "?" + urlencode(params, doseq=True) if params else ""
    headers = {"Content-Type": kind} if body is not None else {}
    try:
        connection.request(
            method, path + query, body, headers, encode_chunked=hasattr(body, "read")
        )
        response = connection.getresponse()
        return response.status, response.read()
    except TimeoutError:
        return 504, b'{"message": "timed out"}'
    except OSError as error:
        raise StandInError(f"{host}: {error}; start a container engine (.ci/engine)") from error
    finally:
        connection.close()


def ensure(names: Iterable[str], say: Callable[[str], None] = lambda _line: None) -> None:
    """Make every named image available: as it is, else pulled, else as a stand-in.

    Args:
        names: Image references in `ALL`.
        say: Receives a line for each step.

    Raises:
        StandInError: An image is not available in any of the three ways.
    """
    can_pull = True
    for name in names:
        _recipe(name)
        if _is_current(name):
            continue
        if can_pull and not name.startswith(OURS) and not _has(name):
            # Do not try again: the next name would wait for the same network.
            can_pull = _pull(name, say)
            if can_pull:
                continue
        _make(name, say)


def _inspect(name: str) -> dict[str, object] | None:
    status, body = call("GET", f"/images/{quote(name)}/json")
    return json.loads(body) if status == http.client.OK else None


def _has(name: str) -> bool:
    return _inspect(name) is not None


def _is_current(name: str) -> bool:
    found = _inspect(name)
    if found is None:
        return False
    config = found.get("Config")
    labels = (config.get("Labels") if isinstance(config, dict) else None) or {}
    return LABEL not in labels or labels[LABEL] == _version(name)


def _pull(name: str, say: Callable[[str], None]) -> bool:
    reference, _, tag = name.partition(":")
    say(f"{name}: trying to pull")
    call("POST", "/images/create", {"fromImage": reference, "tag": tag}, timeout=PULL_SECONDS)
    return _has(name)


def _recipe(name: str) -> tuple[Callable[[Path], None], tuple[str, ...], tuple[str, ...]]:
    """Return how to create the tar, the tags it serves and the image's settings."""
    if name in DEBIAN_TAGS:
        settings = ("ENV PIP_BREAK_SYSTEM_PACKAGES=1", f"ENV PATH={PATH}", 'CMD ["python3"]')
        return _write_python, DEBIAN_TAGS, settings
    if name in BUSYBOX_TAGS:
        return _write_busybox, BUSYBOX_TAGS, ('CMD ["sh"]',)
    if name in BASH_TAGS:
        return _write_bash, BASH_TAGS, ('CMD ["bash"]',)
    if name in POSTGRES_TAGS:
        return _write_services, POSTGRES_TAGS, ('ENTRYPOINT ["/entrypoint"]', 'CMD ["postgres"]')
    if name in REDIS_TAGS:
        command = 'CMD ["redis-server", "--protected-mode", "no", "--save", ""]'
        return _write_services, REDIS_TAGS, (command,)
    raise StandInError(f"{name!r}: no stand-in for this image; there are {', '.join(ALL)}")


def _version(name: str) -> str:
    digest = hashlib.sha256()
    for part in (RECIPE, *_recipe(name)[1:], PACKAGES):
        digest.update(repr(part).encode())
    for path in _host_authorities():
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _make(name: str, say: Callable[[str], None]) -> None:
    write, tags, settings = _recipe(name)
    version = _version(name)
    tar = cache_dir() / f"{_stem(tags)}-{version}.tar"
    if not tar.exists():
        say(f"{name}: making a stand-in from Debian packages")
        _write_atomically(tar, write)
        for stale in tar.parent.glob(f"{_stem(tags)}-*.tar"):
            if stale != tar:
                stale.unlink(missing_ok=True)
    changes = [*settings, f"LABEL {LABEL}={version}"]
    with tar.open("rb") as body:
        status, response = call(
            "POST", "/images/create", {"fromSrc": "-", "changes": changes}, body=body
        )
    identity = _image_id(response)
    if status != http.client.OK or identity is None:
        raise StandInError(f"{name}: the engine did not take {tar}: {response.decode()[-300:]}")
    replaced = set()
    for tag in tags:
        # Keep a real local image with one of the other names.
        found = _inspect(tag)
        if tag == name or found is None or not _is_current(tag):
            replaced |= set() if found is None else {str(found["Id"])}
            repository, _, suffix = tag.partition(":")
            call("POST", f"/images/{identity}/tag", {"repo": repository, "tag": suffix})
    for old in replaced - {identity}:
        call("DELETE", f"/images/{old}")  # fails if the image is in use
    say(f"{name}: stand-in ready")


def _stem(tags: tuple[str, ...]) -> str:
    return tags[0].replace(":", "_")


def _image_id(response: bytes) -> str | None:
    for line in reversed(response.decode().splitlines()):
        status = str(json.loads(line).get("status", "")) if line.strip() else ""
        if status.startswith("sha256:"):
            return status
    return None


def cache_dir() -> Path:
    """Return the directory that keeps finished tars between runs."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    path = base / "conducto-stand-ins"
    path.mkdir(parents=True, exist_ok=True)
    return path


def _write_atomically(tar: Path, write: Callable[[Path], None]) -> None:
    # Concurrent processes may create the same tar: each writes its own, the last rename wins.
    with tempfile.TemporaryDirectory(dir=tar.parent) as folder:
        part = Path(folder) / "part.tar"
        write(part)
        part.replace(tar)


def _need(program: str, package: str) -> str:
    found = shutil.which(program)
    if found is None and os.geteuid() == 0 and shutil.which("apt-get"):
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        command = ("apt-get", "install", "-y", "--no-install-recommends", package)
        for step in (command, ("apt-get", "update"), command):
            if subprocess.run(step, env=environment, capture_output=True, check=False).returncode:
                continue
            found = shutil.which(program)
            if found is not None:
                break
    if found is None:
        raise StandInError(f"{program!r} is missing; install the Debian package {package!r}")
    return found


def _host_authorities() -> list[Path]:
    """Return the host's own certificate authorities, then its whole bundle.

    Where a network re-signs TLS, the containers must trust what the host trusts.
    """
    anchors = sorted(HOST_ANCHORS.glob("*.crt")) if HOST_ANCHORS.is_dir() else []
    return [*anchors, *([HOST_BUNDLE] if HOST_BUNDLE.exists() else [])]


def _write_python(tar: Path) -> None:
    mmdebstrap = _need("mmdebstrap", "mmdebstrap")
    hooks = [
        'for v in 8 9 10 11 12 13; do ln -sf /usr/bin/python3 "$1/usr/local/bin/python3.$v"; done',
        'ln -sf /usr/bin/python3 "$1/usr/local/bin/python"',
        'ln -sf /usr/bin/python3 "$1/usr/local/bin/python3"',
    ]
    for path in _host_authorities():
        target = "usr/local/share/ca-certificates" if path != HOST_BUNDLE else "etc/ssl/certs"
        hooks.append(f'cp {shlex.quote(str(path))} "$1/{target}/{path.name}"')
    excluded = ("/usr/share/man/*", "/usr/share/doc/*", "/usr/share/locale/*", "/usr/share/info/*")
    # As options of mmdebstrap, they would pass each package through a filter in Python: 12 s.
    options = "".join(f"path-exclude={pattern}\n" for pattern in excluded) + "force-unsafe-io\n"
    dpkg = '"$1/etc/dpkg/dpkg.cfg.d/excluded"'
    hooks += [_removal(excluded), f"rm {dpkg}"]
    command = [mmdebstrap, "--quiet", "--variant=minbase", "--include=" + ",".join(PACKAGES)]
    command += [f"--essential-hook=printf %s {shlex.quote(options)} > {dpkg}"]
    command += [f"--customize-hook={hook}" for hook in hooks]
    command += [_suite(), str(tar), *_sources()]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise StandInError(f"mmdebstrap failed:\n{done.stderr[-1500:]}")


def _write_services(tar: Path) -> None:
    """Write the files of Postgres and Redis: one tar for both images."""
    recipe = repr((RECIPE, SERVICE_PACKAGES, SERVICE_EXCLUDED, POSTGRES_ENTRYPOINT, _suite()))
    both = cache_dir() / f"services-{hashlib.sha256(recipe.encode()).hexdigest()[:16]}.tar"
    if not both.exists():
        _write_atomically(both, _write_databases)
    os.link(both, tar)


def _write_databases(tar: Path) -> None:
    mmdebstrap = _need("mmdebstrap", "mmdebstrap")
    entrypoint = tar.with_name("entrypoint")
    entrypoint.write_text(POSTGRES_ENTRYPOINT, encoding="utf-8")
    users = "root:x:0:0::/root:/bin/sh\npostgres:x:70:70::/var/lib/postgresql:/bin/sh\n"
    places = "/tmp /usr/local/bin /var/lib/postgresql /var/run/postgresql /run/postgresql"
    programs = '"$1"/usr/lib/postgresql/*/bin/*'
    merged = '[ -e "$1/$each" ] || ln -s "usr/$each" "$1/$each"'
    link = 'ln -sf "${each#"$1"}" "$1/usr/local/bin/${each##*/}"'
    hooks = [
        f"printf '{users}' >\"$1/etc/passwd\"",
        "printf 'root:x:0:\npostgres:x:70:\n' >\"$1/etc/group\"",
        f'for each in {places}; do mkdir -p "$1$each"; chmod 1777 "$1$each"; done',
        f"for each in {programs}; do {link}; done",
        f"for each in bin lib lib64 sbin; do {merged}; done",
        f'install -m 755 {shlex.quote(str(entrypoint))} "$1/entrypoint"',
    ]
    # "extract": nothing is configured, and there are only these packages and their dependencies.
    command = [
        mmdebstrap,
        "--quiet",
        "--variant=extract",
        f"--include={','.join(SERVICE_PACKAGES)}",
    ]
    command += [f"--extract-hook={hook}" for hook in (*hooks, _removal(SERVICE_EXCLUDED))]
    done = subprocess.run(
        [*command, _suite(), str(tar), *_sources()], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise StandInError(f"mmdebstrap failed:\n{done.stderr[-1500:]}")


def _removal(patterns: Iterable[str]) -> str:
    """Return the hook that removes the files that match ``patterns`` from the new root."""
    return "rm -rf " + " ".join(f'"$1"{pattern}' for pattern in patterns)


def _suite() -> str:
    release = Path("/etc/os-release")
    lines = release.read_text(encoding="utf-8").splitlines() if release.exists() else []
    values = dict(line.split("=", 1) for line in lines if "=" in line)
    is_debian = values.get("ID") == "debian" and "VERSION_CODENAME" in values
    return values["VERSION_CODENAME"].strip('"') if is_debian else "stable"


def _sources() -> list[str]:
    """Return the host's own package sources; without any, mmdebstrap uses its default."""
    candidates = (
        Path("/etc/apt/sources.list.d/debian.sources"),
        Path("/etc/apt/sources.list"),
    )
    if _suite() == "stable":
        return []
    return [str(path) for path in candidates if path.exists() and path.read_text().strip()][:1]


def _add_file(tar: tarfile.TarFile, name: str, data: bytes, mode: int = 0o644) -> None:
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(data), mode
    tar.addfile(info, io.BytesIO(data))


def _add_folder(tar: tarfile.TarFile, name: str, mode: int = 0o755) -> None:
    info = tarfile.TarInfo(name)
    info.type, info.mode = tarfile.DIRTYPE, mode
    tar.addfile(info)


def _write_busybox(tar: Path, extra: Sequence[tuple[str, bytes]] = ()) -> None:
    busybox = _need("busybox", "busybox-static")
    listed = subprocess.run([busybox, "--list"], capture_output=True, text=True, check=True)
    with tarfile.open(tar, "w") as archive:
        for folder in ("bin", "etc", "root", "usr", "usr/bin", "usr/local", "usr/local/bin"):
            _add_folder(archive, folder)
        for folder in ("tmp", "var", "var/tmp"):
            _add_folder(archive, folder, 0o1777)
        _add_file(archive, "bin/busybox", Path(busybox).read_bytes(), 0o755)
        _add_file(archive, "etc/passwd", b"root:x:0:0:root:/root:/bin/sh\n")
        _add_file(archive, "etc/group", b"root:x:0:\n")
        for name, data in extra:
            _add_file(archive, name, data, 0o755)
        taken = {"busybox", *(Path(name).name for name, _data in extra)}
        for applet in sorted({*listed.stdout.split(), "sh", "ash"} - taken):
            link = tarfile.TarInfo(f"bin/{applet}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            archive.addfile(link)


def _write_bash(tar: Path) -> None:
    bash = _need("bash-static", "bash-static")
    _write_busybox(tar, [("usr/local/bin/bash", Path(bash).read_bytes())])


def main(arguments: Sequence[str] | None = None) -> int:
    """Create the images named on the command line; return the exit code."""
    parser = argparse.ArgumentParser(description="Make stand-ins for base images.")
    parser.add_argument("names", nargs="*", default=[], metavar="NAME", help=", ".join(ALL))
    names = parser.parse_args(arguments).names
    started = time.monotonic()
    try:
        ensure(names or ALL, lambda line: print(line, flush=True))  # noqa: T201
    except StandInError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 1
    print(f"base images ready ({time.monotonic() - started:.1f} s)")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
