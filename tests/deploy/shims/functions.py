"""Lambda: what a function finds in its file system."""

from __future__ import annotations

import inspect
import io
import os
import sys
import zipfile
from pathlib import Path
from typing import Any

from ministack.services import efs, lambda_svc
from ministack.services.cloudformation import provisioners

from deploy.shims import Shim, replace

_LAYERS = Path("/opt")
_INTERPRETER = b"#!/var/lang/bin/python"
_KIND = "AWS::Lambda::Function"
_HANDLER: dict[str, Any] = provisioners._RESOURCE_HANDLERS[_KIND]


def folder_of(point: dict[str, Any]) -> str:
    """Return the folder of an EFS access point, which exists from its first mount on."""
    root = (point.get("RootDirectory") or {}).get("Path", "/").lstrip("/")
    folder = Path(os.environ["CONDUCTO_TEST_DEPLOY"]) / "private/efs" / point["FileSystemId"] / root
    folder.mkdir(parents=True, exist_ok=True)
    return str(folder)


def _unpack_layers() -> None:
    @replace(lambda_svc, "_resolve_layer_zip")
    def layer(original: Any, *arguments: Any, **named: Any) -> Any:
        content = original(*arguments, **named)
        if content:  # /opt is this sandbox's own; no two functions here have different layers
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                lambda_svc._extract_zip_preserving_mode(archive, str(_LAYERS))
            for script in _LAYERS.glob("*/*"):
                _use_this_python(script)
        return content


def _use_this_python(script: Path) -> None:
    """Let a script run whose interpreter is where Lambda has its Python."""
    if not script.is_file():
        return
    content = script.read_bytes()
    if content.startswith(_INTERPRETER):
        script.write_bytes(b"#!" + sys.executable.encode() + content[len(_INTERPRETER) :])


def _mount_file_systems() -> None:
    original = _HANDLER["create"]

    def create(logical: str, properties: dict[str, Any], stack: str) -> Any:
        for each in properties.get("FileSystemConfigs", ()):
            point = efs._access_points[each["Arn"].rpartition("/")[2]]
            place = Path(each["LocalMountPath"])  # under /mnt, which is this sandbox's own
            place.unlink(missing_ok=True)
            place.symlink_to(folder_of(point))
        return original(logical, properties, stack)

    _HANDLER["create"] = create


def _drops_file_systems() -> bool:
    properties = {
        "FunctionName": "probe",
        "Code": {"ZipFile": "def handler(*_): ..."},
        "FileSystemConfigs": [{"Arn": "arn:probe", "LocalMountPath": "/mnt/probe"}],
    }
    _HANDLER["create"]("Probe", properties, "probe")
    return not lambda_svc._functions["probe"]["config"].get("FileSystemConfigs")


SHIMS = (
    Shim(
        "layers",
        "Lambda unpacks layers below /opt; ministack's local functions have them elsewhere.",
        _unpack_layers,
        lambda: '"/opt"' not in inspect.getsource(lambda_svc._execute_function_local),
    ),
    Shim(
        "function-file-systems",
        "Lambda mounts the file systems of a function; ministack's CloudFormation drops them.",
        _mount_file_systems,
        _drops_file_systems,
    ),
)
