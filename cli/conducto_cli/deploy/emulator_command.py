"""``conducto cloud-emulator``: the cloud on this machine, to try it without an AWS account."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from argparse import ArgumentTypeError
from contextlib import suppress
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from conducto.api import paths
from conducto.errors import UsageError
from conducto_cli.app.arguments import a_count, a_time
from conducto_cli.app.exit import DONE, FAILED

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable
    from typing import Any

    from conducto_cli.app.arguments import Parser


#: Seconds that it may take to come up; the first time, the agent's image is built.
_UP_SECONDS = 600.0
_DOWN_SECONDS = 60.0
_STEP_SECONDS = 0.1
_LOG, _PREVIOUS_LOG, _PORTS = "emulator.log", "emulator.previous.log", "ports.json"
_STRIPE = "stripe"
_EXPOSED = (
    "Containers and users of this machine can reach its ports, and get in with a token or a "
    "signature only.\nIt speaks plain HTTP: run no untrusted images beside it, and give it no real "
    "secrets (docs/cloud-emulator.md)."
)


def add_arguments(parser: Parser) -> None:
    parser.add_argument("what", choices=tuple(_ACTIONS), metavar="|".join(_ACTIONS))
    parser.add_argument(
        "words",
        nargs="*",
        metavar="advance TIME",
        help="with stripe: move the clock of the double of Stripe ahead, such as by 7d",
    )
    parser.add_argument(
        "--port", type=int, default=0, help="of its API (default: the last one, or a free one)"
    )
    parser.add_argument("--agent-base", metavar="IMAGE", help="image to build the agent's on")
    parser.add_argument(
        "--strict",
        action="store_true",
        help="enforce AWS's limits, and let requests fail at random as they may at AWS",
    )
    parser.add_argument(
        "--latency", choices=["aws"], help="take as long as AWS (a model; default: no delays)"
    )
    parser.add_argument(
        "--identity",
        action="store_true",
        help="let people sign in with a page, as with Cognito, instead of tokens; needs Node.js",
    )
    parser.add_argument(
        "--billing",
        action="store_true",
        help="let organisations subscribe, with a double of Stripe that charges no card",
    )
    parser.add_argument(
        "--warm-workers",
        type=_pool_size,
        default=0,
        metavar="N",
        help="keep up to N idle workers of each organisation for reruns (default: 0)",
    )
    parser.add_argument(
        "--machines",
        type=_machines,
        metavar="CLASSES",
        help="machine classes, as for 'conducto deploy -c machines=' (they run on this machine)",
    )
    parser.add_argument(
        "-c",
        dest="settings",
        metavar="NAME=VALUE",
        type=_setting,
        action="append",
        default=[],
        help="a setting, as for 'conducto deploy': buckets and log_bucket (they are created), "
        "otlp_endpoint, otlp_headers_secret, queues or secret_stores (repeatable)",
    )
    parser.add_argument(
        "--scarce",
        type=_share,
        default=0.0,
        metavar="PART",
        help="let this part of the workers meet a lack of capacity, from 0 to 1 (default: 0)",
    )
    parser.add_argument(
        "--seed",
        type=int,
        help="repeat the chance of --strict, --latency and --scarce; its log names it",
    )


def _pool_size(text: str) -> int:
    from conducto_core.workers.model import MAX_WARM_WORKERS  # noqa: PLC0415

    number = a_count(text)
    if number > MAX_WARM_WORKERS:
        raise ArgumentTypeError(f"must be at most {MAX_WARM_WORKERS}, got {text}")
    return number


def _machines(text: str) -> str:
    from conducto_core.machines.rules import read_machines  # noqa: PLC0415

    try:
        read_machines(text)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from error
    return text


def _setting(text: str) -> str:
    from conducto_core.buckets.rules import read_buckets  # noqa: PLC0415
    from conducto_core.events.rules.queues import read_queues  # noqa: PLC0415
    from conducto_core.secrets.rules import read_prefixes  # noqa: PLC0415

    name, equals, value = text.partition("=")
    checks: dict[str, Callable[[str], object]] = {
        "buckets": read_buckets,
        "log_bucket": partial(_matching, r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]"),
        "otlp_endpoint": partial(_matching, r"https?://\S+"),
        "otlp_headers_secret": partial(_matching, r"[A-Za-z0-9/_+=.@-]+"),
        "queues": read_queues,
        "secret_stores": read_prefixes,
    }
    if name not in checks or not equals:
        raise ArgumentTypeError(f"must be one of {', '.join(checks)} with '=', got {text!r}")
    try:
        checks[name](value)
    except ValueError as error:
        raise ArgumentTypeError(f"{name}: {error}") from error
    return text


def _matching(pattern: str, text: str) -> None:
    if re.fullmatch(pattern, text) is None:
        raise ValueError(f"{text!r} is not valid")


def _share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise ArgumentTypeError(f"must be a number from 0 to 1, got {text!r}")
    return share


def run(arguments: argparse.Namespace) -> int:
    if arguments.words and arguments.what != _STRIPE:
        raise UsageError(f"{arguments.what} takes no arguments, got {arguments.words[0]!r}")
    return _ACTIONS[arguments.what](_folder(), arguments)


def running() -> dict[str, Any] | None:
    """Return the state of this profile's emulator, or None when none is running."""
    return _find(_folder())


def _folder() -> Path:
    return Path(paths.base_dir()) / "cloud-emulator"


def _up(folder: Path, arguments: argparse.Namespace) -> int:
    known = _find(folder)
    if known is not None:
        return _beside(known, arguments)
    path = _package_path()
    if path is None:
        print(
            "conducto: the emulator needs a checkout of Conducto and what it is made of: "
            "pip install -e '.[emulator]'",
            file=sys.stderr,
        )
        return FAILED
    folder.mkdir(parents=True, mode=0o700, exist_ok=True)
    _clear(folder)
    process = _start(folder, path, arguments)
    end = time.monotonic() + _UP_SECONDS
    while (known := _find(folder)) is None:
        if process.poll() is not None or time.monotonic() > end:
            print(f"conducto: the emulator did not start: {_failure(folder)}", file=sys.stderr)
            return FAILED
        time.sleep(_STEP_SECONDS)
    print(f"the emulator runs at {known['url']}; log in to it with:")
    print(f"  conducto cloud-emulator token | conducto login --url {known['url']} --token -")
    print("Then run a pipeline in it:  python pipeline.py --cloud --run")
    print("Its web app:  conducto show --app --cloud")
    print("Administration:  conducto admin plan --org local --stage emulator")
    print("For 'conducto debug --remote' there, AWS's program is stood in for by one in:")
    print(f"  export PATH={shlex.quote(known['programs'])}:$PATH")
    print(_EXPOSED)
    print("It keeps nothing: 'conducto cloud-emulator down' deletes all pipelines in it.")
    return DONE


def _beside(known: dict[str, Any], arguments: argparse.Namespace) -> int:
    """Accept the running emulator if it has the options that are requested."""
    own: list[str] = [*known["options"], "--port", known["url"].rpartition(":")[2]]
    runs = {tuple(own[at : at + size]) for at in range(len(own)) for size in (1, 2)}
    missing = [shlex.join(each) for each in _options(arguments) if tuple(each) not in runs]
    if not missing:
        print(f"the emulator runs already, at {known['url']}")
        return DONE
    print(
        f"conducto: the emulator runs already, at {known['url']}, without {', '.join(missing)}; "
        "to start it with other options: conducto cloud-emulator down",
        file=sys.stderr,
    )
    return FAILED


def _options(arguments: argparse.Namespace) -> list[list[str]]:
    identity = str(Path(paths.base_dir()) / "identity") if arguments.identity else None
    values = {
        "--port": arguments.port or None,
        "--base": arguments.agent_base,
        "--latency": arguments.latency,
        "--identity": identity,
        "--warm-workers": arguments.warm_workers or None,
        "--machines": arguments.machines or None,
        "--scarce": arguments.scarce or None,
        "--seed": arguments.seed,
    }
    flags = [[f"--{name}"] for name in ("strict", "billing") if getattr(arguments, name)]
    settings = [["-c", each] for each in arguments.settings]
    named = ([name, str(each)] for name, each in values.items() if each is not None)
    return [*flags, *named, *settings]


def _start(folder: Path, path: str, arguments: argparse.Namespace) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "conducto_emulator", str(folder)]
    command += [word for option in _options(arguments) for word in option]
    inherited = os.environ.get("PYTHONPATH")
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, (path, inherited)))}
    log_file = folder / _LOG
    if log_file.exists():
        log_file.replace(folder / _PREVIOUS_LOG)
    with log_file.open("wb") as log:
        return subprocess.Popen(  # noqa: S603 (our own module)
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=env,
            start_new_session=True,
        )


def _down(folder: Path, arguments: argparse.Namespace) -> int:
    del arguments
    known = _find(folder)
    if known is None:
        print("no emulator is running")
        return DONE
    os.kill(known["pid"], signal.SIGTERM)
    end = time.monotonic() + _DOWN_SECONDS
    while _lives(known["pid"]):
        if time.monotonic() > end:
            print(f"conducto: process {known['pid']} does not end", file=sys.stderr)
            return FAILED
        time.sleep(_STEP_SECONDS)
    _clear(folder)
    print(f"emulator stopped; its log: {folder / _LOG}")
    return DONE


def _clear(folder: Path) -> None:
    """Remove everything of an emulator but the logs and the ports to use again."""
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        elif path.name not in (_LOG, _PREVIOUS_LOG, _PORTS):
            path.unlink(missing_ok=True)


def _status(folder: Path, arguments: argparse.Namespace) -> int:
    del arguments
    known = _find(folder)
    if known is None:
        print("no emulator is running; start it with: conducto cloud-emulator up")
        return FAILED
    print(f"the emulator runs at {known['url']}, pid {known['pid']}, AWS at {known['aws']}")
    print(f"its log: {folder / _LOG}")
    return DONE


def _token(folder: Path, arguments: argparse.Namespace) -> int:
    del arguments
    known = _find(folder)
    if known is None:
        print("no emulator is running", file=sys.stderr)
        return FAILED
    print(known["token"])
    return DONE


def _env(folder: Path, arguments: argparse.Namespace) -> int:
    """Print the variables with which the AWS CLI reaches the services of the emulator."""
    del arguments
    known = _find(folder)
    if known is None:
        print("no emulator is running", file=sys.stderr)
        return FAILED
    variables = {
        "AWS_ENDPOINT_URL": known["aws"],
        "AWS_REGION": known["region"],
        "AWS_DEFAULT_REGION": known["region"],
        "AWS_ACCESS_KEY_ID": known["key"]["id"],
        "AWS_SECRET_ACCESS_KEY": known["key"]["secret"],
    }
    for name, value in variables.items():
        print(f"export {name}={shlex.quote(value)}")
    print("unset AWS_SESSION_TOKEN AWS_PROFILE")
    return DONE


def _stripe(folder: Path, arguments: argparse.Namespace) -> int:
    if len(arguments.words) != 2 or arguments.words[0] != "advance":  # noqa: PLR2004
        raise UsageError("expected: conducto cloud-emulator stripe advance TIME, such as 7d")
    try:
        seconds = a_time(arguments.words[1])
    except ArgumentTypeError as error:
        raise UsageError(f"advance {error}") from None
    stripe = (_find(folder) or {}).get(_STRIPE)
    if stripe is None:
        print(
            "conducto: no emulator with billing is running; start it with: "
            "conducto cloud-emulator up --billing",
            file=sys.stderr,
        )
        return FAILED
    from urllib.error import HTTPError  # noqa: PLC0415
    from urllib.request import Request, urlopen  # noqa: PLC0415

    headers = {"Authorization": f"Bearer {stripe['key']}"}
    request = Request(f"{stripe['url']}/advance", f"seconds={seconds}".encode(), headers)  # noqa: S310
    try:
        with urlopen(request) as response:  # noqa: S310 (an address that the emulator wrote)
            found = json.load(response)
    except HTTPError as error:
        print(f"conducto: {json.load(error)['error']['message']}", file=sys.stderr)
        return FAILED
    print(f"Stripe's clock: {time.strftime('%Y-%m-%d %H:%M UTC', time.gmtime(found['now']))}")
    for each in found["subscriptions"]:
        print(f"subscription {each['id']}: {each['status']}")
    return DONE


def _find(folder: Path) -> dict[str, Any] | None:
    """Return where the emulator is, if it lives."""
    try:
        known: dict[str, Any] = json.loads((folder / "emulator.json").read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return known if _lives(known["pid"]) else None


def _lives(pid: int) -> bool:
    with suppress(ChildProcessError):  # it may be a child of this very process
        os.waitpid(pid, os.WNOHANG)
    # Empty for a process that has ended; another process may have its number, too.
    return b"conducto_emulator" in _command_of(pid)


def _command_of(pid: int) -> bytes:
    """Return the command line of a process, or nothing."""
    with suppress(OSError):
        if Path("/proc/self").exists():
            return Path(f"/proc/{pid}/cmdline").read_bytes()
        words = ["ps", "-ww", "-p", str(pid), "-o", "args="]
        return subprocess.run(words, capture_output=True, check=False).stdout  # noqa: S603
    return b""


def _failure(folder: Path) -> str:
    with suppress(OSError):
        return (folder / "failure.txt").read_text("utf-8").strip()
    return f"see {folder / _LOG}"


def _package_path() -> str | None:
    """Return where ``conducto_emulator`` is found; a checkout has it beside the SDK."""
    beside = Path(__file__).resolve().parents[3] / "emulator"
    if find_spec("moto") is None or find_spec("chalice") is None:
        return None
    return str(beside) if (beside / "conducto_emulator").is_dir() else None


_ACTIONS = {
    "up": _up,
    "down": _down,
    "status": _status,
    "token": _token,
    "env": _env,
    _STRIPE: _stripe,
}
