"""The conducto package as a wheel for users' images.

It contains the part that commands need (the author API and the command-line tools), runs on Python
3.8 and needs no other package, so that it installs without an index. The same sources always give
the same bytes, so that the layer that installs it is reused.
"""

import base64
import hashlib
import io
import zipfile
from collections.abc import Mapping
from importlib import metadata, resources
from pathlib import Path

from conducto.version import DISTRIBUTION, FILE_STEM, __version__

#: ``{command: its function}``. Shipped as plain scripts: pip's wrappers for entry points import
#: `re`, which takes a fifth of the time of a small native function.
SCRIPTS = {
    "conducto": "conducto.tools.entry:main",
    "conducto-data-pipeline": "conducto.tools.data_tools:pipeline",
    "conducto-data-user": "conducto.tools.data_tools:user",
    "conducto-temp-data": "conducto.tools.data_tools:pipeline",
    "conducto-perm-data": "conducto.tools.data_tools:user",
    "conducto-notebook": "conducto.tools.notebook:main",
    "conducto-slack": "conducto.tools.slack:main",
}
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time of a zip file


def client_wheel() -> tuple[str, bytes]:
    """Return the file name and the bytes of the wheel of the running package."""
    root = Path(str(resources.files("conducto")))
    return build_wheel(client_files(root), package_version())


def package_version() -> str:
    """Return the version of the installed distribution."""
    try:
        return metadata.version(DISTRIBUTION)
    except metadata.PackageNotFoundError:
        return __version__


def client_files(root: Path) -> dict[str, bytes]:
    """Return ``{path in the wheel: content}`` of the part that runs in images."""
    paths = sorted(path.relative_to(root) for path in root.rglob("*") if path.is_file())
    return {
        f"conducto/{path.as_posix()}": (root / path).read_bytes()
        for path in paths
        if (path.suffix == ".py" or path.name == "py.typed")
    }


def build_wheel(files: Mapping[str, bytes], version: str) -> tuple[str, bytes]:
    """Return the file name and the bytes of a wheel with ``files``."""
    info = f"{FILE_STEM}-{version}.dist-info"
    contents = {
        **files,
        f"{info}/METADATA": _metadata(version).encode(),
        f"{info}/WHEEL": _wheel_tags().encode(),
        **{
            f"{FILE_STEM}-{version}.data/scripts/{name}": _script(target).encode()
            for name, target in sorted(SCRIPTS.items())
        },
    }
    record = "".join(_record_line(name, content) for name, content in contents.items())
    contents[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n".encode()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in contents.items():
            entry = zipfile.ZipInfo(name, _EPOCH)
            mode = 0o100755 if ".data/scripts/" in name else 0o100644
            entry.external_attr = mode << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3  # Unix, whatever system builds it
            archive.writestr(entry, content)
    return f"{FILE_STEM}-{version}-py3-none-any.whl", buffer.getvalue()


def _record_line(name: str, content: bytes) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
    return f"{name},sha256={digest},{len(content)}\n"


def _metadata(version: str) -> str:
    return (
        "Metadata-Version: 2.1\n"
        f"Name: {DISTRIBUTION}\n"
        f"Version: {version}\n"
        "Summary: The part of Conducto that runs inside the images of a pipeline.\n"
        "License: Apache-2.0\n"
        "Requires-Python: >=3.8\n"
    )


def _wheel_tags() -> str:
    return "Wheel-Version: 1.0\nGenerator: conducto\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


def _script(target: str) -> str:
    """Return a script that calls ``module:function``; installers add the interpreter's path."""
    module, _, function = target.partition(":")
    return f"#!python\nimport sys\nfrom {module} import {function}\n\nsys.exit({function}())\n"
