"""Host files that debug containers mount as the script of their command."""

import contextlib
import hashlib
import os
import secrets
import tempfile
from collections.abc import Iterator
from pathlib import Path

from conducto_core.model.debug import DebugPlan

_FOLDER_MODE = 0o700
#: Any user of a container may read, run and change it; on the host, the directory protects it.
_MODE = 0o777


def lasting_script(plan: DebugPlan) -> Path:
    """Write the script to a file that is kept as long as the pipeline; return its path.

    The same command always gets the same file.

    Raises:
        OSError: The file cannot be written.
    """
    digest = hashlib.sha256(plan.script.encode()).hexdigest()[:16]
    return _write(plan, f"cmd-{digest}.sh")


@contextlib.contextmanager
def passing_script(plan: DebugPlan) -> Iterator[Path]:
    """Yield the path of a script file for one shell; delete it afterwards."""
    path = _write(plan, f"shell-{secrets.token_hex(8)}.sh")
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


def own_folder(pipeline_id: str) -> Path:
    """Return a directory of this user for the scripts of a pipeline that runs elsewhere."""
    folder = Path(tempfile.gettempdir()) / f"conducto-debug-{os.getuid()}"
    folder.mkdir(mode=_FOLDER_MODE, exist_ok=True)
    if folder.is_symlink() or folder.stat().st_uid != os.getuid():
        raise PermissionError(f"{folder} belongs to another user; remove it, or set TMPDIR")
    return folder / pipeline_id


def _write(plan: DebugPlan, name: str) -> Path:
    folder = own_folder(plan.pipeline) if plan.folder is None else Path(plan.folder)
    folder.mkdir(mode=_FOLDER_MODE, exist_ok=True)
    path = folder / name
    partial = folder / f".{name}.{os.getpid()}"
    partial.write_bytes(plan.script.encode("utf-8", "surrogateescape"))
    partial.chmod(_MODE)
    partial.replace(path)
    return path
