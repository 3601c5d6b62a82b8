"""The result, metrics and artifacts of a running command, and the results that it uses.

Everything is read and written in files of the run directory of the attempt. Conducto reads them
when the command has ended; points and artifacts are also sent to it at once. Outside of a pipeline
there is no such directory: then the arguments are checked, and nothing is written.
"""

# ruff: noqa: PLC0415, PTH107, PTH110, PTH112, PTH116, PTH117, PTH118, PTH119, PTH123, PTH202
# imports wait until they are needed; pathlib is a heavy import.

from __future__ import annotations

import os
import sys

from conducto.wire import outputs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Optional

    from conducto.inspection.signatures import Parameter

_MAX_DIRECTORY = 200  # bytes of the name of a directory for a node's artifacts
#: Of the metrics of this process: ``{name: number of the last point}``, and points left out.
_counts: Dict[str, int] = {}
_left_out: Dict[str, str] = {}


def store_return_value(value: Any) -> None:
    """Keep the return value of a function as the result of the node; None removes an earlier one.

    A value that has no form in JSON is not kept; a warning on stderr has the reason.
    """
    file = _file(outputs.RESULT)
    if file is None:
        return
    if value is None:
        if os.path.exists(file):
            os.remove(file)
        return
    import json

    from conducto.inspection.codecs import to_json

    try:
        text = json.dumps(to_json(value))
        if len(text) > outputs.MAX_RESULT:
            _warn(outputs.too_large(len(text)))
        else:
            _write(file, text, "w")
    except (TypeError, ValueError, RecursionError, OSError) as error:
        _warn(f"the result was not kept: {error}")


def result(path: str) -> Any:
    """Return the result of another node of the pipeline.

    In a running command, it is the value; the node must declare it. While a tree is built, it is a
    reference, an argument for the function of a later node: ``co.Exec(evaluate,
    co.result("/train"))``. A command that builds a tree, or whose file does, also gets a reference
    to a result that it does not declare.

    Args:
        path: Path of the node from the root of the tree.

    Raises:
        LookupError: The running command does not declare that result.
        ValueError: The path does not start with "/".
    """
    from conducto.tree.references import ResultReference

    reference = ResultReference(path)
    if not (_is_running() or _is_debugging()):
        return reference
    if path not in _inputs() and _is_building():
        return reference
    return value_of(path)


def payload() -> Any:
    """Return the payload of the event that launched the pipeline; None if no event did.

    In a running command, it is the value; the node must declare it: ``co.Exec(load,
    results=[co.payload()])``. While a tree is built, it is a reference, an argument for the
    function of a node: ``co.Exec(load, co.payload())``.

    Raises:
        LookupError: The running command does not declare it.
    """
    from conducto.wire.result_order import PAYLOAD

    return result(PAYLOAD)


def _is_running() -> bool:
    return bool(os.environ.get(outputs.RUN_DIRECTORY))


def _is_debugging() -> bool:
    return os.environ.get("CONDUCTO_EXECUTION_ENV", "").startswith("debug")


def _is_building() -> bool:
    """Return whether a file is loaded, or a tree is built by a method or in a ``with`` block."""
    from conducto.api import calls as target
    from conducto.tree import structure

    main = sys.modules.get("conducto.main")  # it imports this module, and it loads the file
    is_loading = main is not None and bool(main.Loading.active)
    return is_loading or target.is_launching() or structure.in_block()


def value_of(path: str) -> Any:
    """Return the value of a result that the running command declares.

    Raises:
        LookupError: It does not declare that result, or runs in a debug shell.
    """
    if _is_debugging():
        raise LookupError(
            f"the result of {path} is not available in a debug shell; 'conducto show' prints it: "
            "pass it as a value"
        )
    known = _inputs()
    if path not in known and path.startswith("//"):
        raise LookupError(
            f"{os.environ.get('CONDUCTO_NODE', 'this node')} does not declare that it uses the "
            "payload; write co.Exec(..., results=[co.payload()])"
        )
    if path not in known:
        declared = ", ".join(known) or "none"
        raise LookupError(
            f"{os.environ.get('CONDUCTO_NODE', 'this node')} does not declare that it uses the "
            f"result of {path} (declared: {declared}); write co.Exec(..., results=[{path!r}])"
            f"{_hint_for_trees()}"
        )
    return known[path]


def _hint_for_trees() -> str:
    """Return the remedy for a reference at the top of a file that defines a pipeline."""
    from conducto.inspection import call_site

    if not call_site.is_top_level():
        return ""
    return (
        ". If this file defines a pipeline, where co.result is a reference: call it in the "
        "function that returns the tree, because a command that runs the file needs the value here"
    )


def _inputs() -> Dict[str, Any]:
    file = _file(outputs.INPUTS)
    if file is None or not os.path.exists(file) or not os.path.getsize(file):
        return {}  # an empty file is that of an earlier command, in an image without rm
    import json

    with open(file, encoding="utf-8") as source:
        values: Dict[str, Any] = json.load(source)
    return values


def is_reference(text: Optional[str]) -> bool:
    """Return whether an argument of the running command has references to declared results."""
    from conducto.wire.references import OPEN

    if text is None or OPEN not in text:
        return False
    return _is_debugging() or (_is_running() and bool(_inputs()))


def argument(parameter: Parameter, text: str) -> Any:
    """Return the value of an argument with references to results.

    Raises:
        CodecError: A result does not fit the type of the parameter.
        LookupError: The running command does not declare a result.
    """
    from conducto.inspection.codecs.base import loads
    from conducto.wire.references import path_in, replaced

    path = path_in(text)
    data = value_of(path) if path else replaced(loads(text, "a reference"), value_of)
    return converted(parameter, data)


def converted(parameter: Parameter, data: Any) -> Any:
    """Return JSON data as the type of a parameter.

    Raises:
        CodecError: They do not fit the type.
    """
    from conducto.inspection.codecs.parameter import Untyped

    codec: Any = parameter.codec if parameter.annotated else None
    return data if codec is None or isinstance(codec, Untyped) else codec.from_json(data)


def metric(name: str, value: Optional[float], step: Optional[float] = None) -> None:
    """Record a point of a metric of the node, such as ``co.metric("accuracy", 0.93, step=7)``.

    Args:
        name: Its name: letters, digits, spaces and ``_ - . / ( ) % @ = :``.
        value: A number. NaN and infinities are stored as null.
        step: Its position; without it, the number of the point.

    Raises:
        ValueError: The name is invalid.
        TypeError: The value or the step is not a number.
    """
    import json
    import time

    number, position = _number("value", value), _number("step", step)
    if not outputs.is_metric_name(name):
        raise ValueError(f"invalid name of a metric: {name!r}; use {outputs.METRIC_NAMES}")
    count = _counts[name] = _counts.get(name, -1) + 1
    file = _file(outputs.METRICS)
    if file is None:
        return
    if position is None and count >= outputs.MAX_POINTS:
        position = count  # its number, as other points are left out
    point = {"name": name, "value": number, "step": position, "time": time.time()}
    line = json.dumps(point) + "\n"
    if outputs.is_left_out(count):
        import atexit

        atexit.unregister(_write_left_out)
        atexit.register(_write_left_out)
        _left_out[name] = line
    else:
        _left_out.pop(name, None)
        _write(file, line, "a")
        _send(outputs.METRICS, line)


def _write_left_out() -> None:
    """Write the last point of each metric, if it was left out."""
    file = _file(outputs.METRICS)
    if file is not None:
        _write(file, "".join(_left_out.values()), "a")


def _number(what: str, value: Any) -> Optional[float]:
    """Return a plain number, also for one of numpy or torch; None if it is not finite."""
    if value is None:
        return None
    if isinstance(value, (bool, str)):
        raise TypeError(f"the {what} of a metric must be a number, got {value!r}")
    try:
        number = value if type(value) in (int, float) else float(value)
    except (TypeError, ValueError):
        raise TypeError(f"the {what} of a metric must be a number, got {value!r}") from None
    return number if abs(number) < float("inf") else None


def artifact(path: Any, title: str = "") -> str:
    """Declare a file as an artifact of the node, which lists it with a preview.

    A file outside of the pipeline's data is copied into it.

    Args:
        path: Path of the file.
        title: Its title; the file's name by default.

    Returns:
        The file's name in the pipeline's data.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The path is a directory.
    """
    file = os.fspath(path)
    if os.path.isdir(file):
        raise ValueError(f"{file} is a directory; declare its files one by one")
    size = os.stat(file).st_size
    target = _file(outputs.ARTIFACTS)
    if target is None:
        return str(file)
    import json

    name = _name_in_data(str(file))
    entry = {"name": name, "title": title, "size": size, "type": _media_type(name)}
    line = json.dumps(entry) + "\n"
    _write(target, line, "a")
    _send(outputs.ARTIFACTS, line)
    return name


def annotate(
    file: Any, line: Optional[int] = None, level: str = "error", message: str = "", title: str = ""
) -> None:
    """Add a message about a line of a file to the node, its diagnosis and the check of the commit.

    ``co.annotate("src/app.py", 12, "warning", "unused name", title="Lint")``

    Args:
        file: Its path, relative to the directory of the code, or absolute.
        line: Counted from 1; None for the whole file.
        level: ``error``, ``warning`` or ``notice``.
        message: The message; at most 4,000 characters are kept.
        title: Its title.

    Raises:
        ValueError: The level is another word, the line is less than 1, or a text is empty.
    """
    name = os.fspath(file)
    if level not in outputs.LEVELS:
        raise ValueError(f"the level must be error, warning or notice, got {level!r}")
    if line is not None and (type(line) is not int or line < 1):
        raise ValueError(f"the line of an annotation must be 1 or more, got {line!r}")
    if not (name and str(message).strip()):
        raise ValueError("an annotation needs a file and a message")
    target = _file(outputs.ANNOTATIONS)
    if target is None:
        return
    import json

    text = str(message).strip()[: outputs.MAX_ANNOTATION]
    entry = {"file": name, "line": line or 0, "level": level, "message": text, "title": title}
    _write(target, json.dumps(entry) + "\n", "a")


def _name_in_data(file: str) -> str:
    """Return the name of a file in the pipeline's data, after copying it there if needed."""
    from conducto.data import pipeline
    from conducto.data.location import root_of
    from conducto.wire.data_names import of_node

    root, real = os.path.realpath(root_of("pipeline")), os.path.realpath(file)
    if real.startswith(root + "/"):
        return os.path.relpath(real, root)
    inner = os.path.normpath(file)
    if os.path.isabs(inner) or inner.startswith(".."):
        inner = os.path.basename(inner)
    node = of_node(os.environ.get("CONDUCTO_NODE", "/"), _MAX_DIRECTORY)
    name = f"artifacts/{node}/{os.environ.get('CONDUCTO_ATTEMPT', '1')}/{inner}"
    pipeline.put(name, file)
    return name


def _media_type(name: str) -> str:
    import mimetypes

    return mimetypes.guess_type(name)[0] or "application/octet-stream"


def _file(name: str) -> Optional[str]:
    directory = os.environ.get(outputs.RUN_DIRECTORY)
    return os.path.join(directory, name) if directory else None


def _write(file: str, text: str, mode: str) -> None:
    with open(file, mode, encoding="utf-8") as target:
        target.write(text)


def _send(name: str, line: str) -> None:
    """Send a line of a file to the agent while the command runs.

    It is left out if that is impossible, or if the pipe is full: the agent reads the file later.
    """
    pipe = os.environ.get(outputs.LIVE)
    frame = outputs.frame(name, line)
    if not pipe or len(frame) > outputs.MAX_FRAME:
        return
    try:
        descriptor = os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
    except OSError:
        return
    try:
        os.write(descriptor, frame)
    except OSError:
        pass
    finally:
        os.close(descriptor)


def _warn(text: str) -> None:
    print(f"conducto: {text}", file=sys.stderr)  # noqa: T201
