"""Lambda: what a function finds in its file system, and what its programs print."""

from __future__ import annotations

import inspect
import io
import json
import os
import sys
import zipfile
from pathlib import Path
from typing import Any

from ministack.core import lambda_runtime
from ministack.services import efs, lambda_svc
from ministack.services.cloudformation import provisioners

from system.deploy.shims import Shim, replace

_LAYERS = Path("/opt")
_INTERPRETER = b"#!/var/lang/bin/python"
_KIND = "AWS::Lambda::Function"
#: Executions of an account that cannot be reserved.
UNRESERVED = 100
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


def concurrency_file() -> Path:
    """Return the file with an account's quota of concurrent executions; without it, 1,000."""
    return Path(os.environ["CONDUCTO_TEST_DEPLOY"]) / "concurrency"


def _reserve_concurrency() -> None:
    original = _HANDLER["create"]

    @replace(lambda_svc, "_get_account_settings")
    def settings(original: Any) -> Any:
        file = concurrency_file()
        lambda_svc._ACCOUNT_CONCURRENCY_CAP = int(file.read_text()) if file.exists() else 1000
        return original()

    def create(logical: str, properties: dict[str, Any], stack: str) -> Any:
        reserved = int(properties.get("ReservedConcurrentExecutions") or 0)
        limits = json.loads(lambda_svc._get_account_settings()[2])["AccountLimit"]
        if reserved and limits["UnreservedConcurrentExecutions"] - reserved < UNRESERVED:
            raise ValueError(
                f"{logical}: ReservedConcurrentExecutions decreases the account's "
                f"UnreservedConcurrentExecution below its minimum value of [{UNRESERVED}]"
            )
        made = original(logical, properties, stack)
        if reserved:
            concurrency = {"ReservedConcurrentExecutions": reserved}
            lambda_svc._put_function_concurrency(properties["FunctionName"], concurrency)
        return made

    _HANDLER["create"] = create


def _reserves_nothing() -> bool:
    code = {"ZipFile": "def handler(*_): ..."}
    properties = {"FunctionName": "probe", "Code": code, "ReservedConcurrentExecutions": 7}
    _HANDLER["create"]("Probe", properties, "probe")
    return lambda_svc._functions["probe"]["concurrency"] is None


class _Responses:
    """The responses in a worker's output: it shares its output with the programs that it starts."""

    def __init__(self, output: Any) -> None:
        self._output = output

    def readline(self) -> str:
        """Return the next line that is a JSON object, or "" at the end."""
        while True:
            line: str = self._output.readline()
            if not line or line.lstrip().startswith("{"):
                return line

    def __getattr__(self, name: str) -> Any:
        return getattr(self._output, name)


def _skip_output_of_programs() -> None:
    original = lambda_runtime.Worker._spawn

    def spawn(worker: Any) -> Any:
        spawned = original(worker)
        worker._proc.stdout = _Responses(worker._proc.stdout)
        return spawned

    lambda_runtime.Worker._spawn = spawn


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
    Shim(
        "reserved-concurrency",
        "CloudFormation reserves the concurrency of a function, and fails where fewer than 100 "
        "executions of the account stay unreserved; ministack's ignores it.",
        _reserve_concurrency,
        _reserves_nothing,
    ),
    Shim(
        "output-of-programs",
        "A function's programs may print any number of lines, such as one for each file that is "
        "copied to the bucket; ministack looks for the response in 200 lines.",
        _skip_output_of_programs,
        lambda: "range(200)" in inspect.getsource(lambda_runtime.Worker.invoke),
    ),
)
