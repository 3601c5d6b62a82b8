"""The build context of the agent image, from a checkout or an installation."""

import hashlib
import io
import tarfile
from collections.abc import Iterator, Mapping
from importlib import resources
from pathlib import Path

#: Packages that the agent imports.
PACKAGES = ("conducto", "conducto_core", "conducto_worker")
_LEFT_OUT = frozenset({"__pycache__", "testing", "tools", "nb"})


def files() -> Mapping[str, Path]:
    here = Path(str(resources.files("conducto_worker").joinpath("image")))
    found = {name: here / name for name in ("Dockerfile", "requirements.txt", "minimal_root.py")}
    for package in PACKAGES:
        root = Path(str(resources.files(package)))
        for path in _below(root):
            found[f"packages/{package}/{path.relative_to(root).as_posix()}"] = path
    return dict(sorted(found.items()))


def digest() -> str:
    """Return 16 hex digits that identify the content of the context."""
    seen = hashlib.sha256()
    for name, path in files().items():
        seen.update(f"{name}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\0".encode())
    return seen.hexdigest()[:16]


def context() -> bytes:
    """Return the context as a tar archive; the same files give the same bytes."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        for name, path in files().items():
            content = path.read_bytes()
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(content), 0o644
            archive.addfile(info, io.BytesIO(content))
    return data.getvalue()


def write_context(folder: Path) -> None:
    for name, path in files().items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())


def _below(root: Path) -> Iterator[Path]:
    for path in sorted(root.iterdir()):
        if path.name in _LEFT_OUT:
            continue
        if path.is_dir():
            yield from _below(path)
        elif path.suffix in {".py", ".sh", ".typed"}:
            yield path
