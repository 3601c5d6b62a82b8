"""Run a program beside an emulated AWS, in namespaces of its own.

    python tests/system/deploy/sandbox.py FOLDER PROGRAM...

The program sees its own network, mounts, processes, container engine and AWS (ministack, see
`system.deploy.server`). Nothing on the machine changes: no port, no line in /etc/hosts, no
container. The way out to package registries is slirp4netns, which needs no rules on the machine's
own network. FOLDER keeps the programs that are installed, so that a second run is faster.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROOT = Path(__file__).resolve().parents[3]
sys.path[:0] = [str(ROOT / "tests")]

from system.deploy import certificates, engine, programs, traces  # noqa: E402  the path comes first

#: Address of AWS and of the name server, for containers too. Only documents use it (RFC 5737).
ADDRESS = "192.0.2.1"
#: slirp4netns answers DNS queries there, with the machine's own resolver.
UPSTREAM = "10.0.2.3"
REGION = "us-east-1"
#: ministack takes an access key of 12 digits as the number of the account.
ACCOUNT = "000000000000"
CGROUP = "conducto-test-deploy"
START_SECONDS = 60
_NETWORK = ("--configure", "--mtu=65520", "--disable-host-loopback")


def main(arguments: Sequence[str]) -> int:
    """Enter the namespaces, or continue inside them; return the program's exit code."""
    if arguments[0] == "--inside":
        return run_inside(Path(arguments[1]), arguments[2:])
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    problem = missing(os.geteuid())
    if problem is not None:
        print(f"test-deploy: SKIPPED: {problem}")  # noqa: T201
        return 0
    return run(Path(arguments[0]).resolve(), arguments[1:])


def missing(user: int) -> str | None:
    """Return why no namespaces can be made here; None if they can."""
    if sys.platform != "linux":
        return "namespaces need Linux"
    if user != 0:
        return "namespaces, mounts and a container engine need root"
    needed = ("unshare", "setpriv", "slirp4netns", "ip", "iptables", "dockerd", "openssl", "npm")
    absent = [name for name in needed if shutil.which(name) is None]
    if absent:
        return f"not installed: {', '.join(absent)}; on Debian, make test-deploy installs them"
    return None if Path("/dev/net/tun").exists() else "there is no /dev/net/tun"


# ---- outside ----------------------------------------------------------------------------------


def run(folder: Path, program: Sequence[str]) -> int:
    """Run a program in new namespaces; return its exit code."""
    folder.mkdir(parents=True, exist_ok=True)
    programs.install(folder)
    before = traces.found(folder)
    code, spaces = _run_in_namespaces(folder, program)
    left = traces.changes(before, traces.found(folder))
    left += [f"process {pid} is left" for pid in traces.processes(spaces)]
    for line in left:
        print(f"test-deploy: the machine is not as it was: {line}", file=sys.stderr)  # noqa: T201
    return code or int(bool(left))


def _run_in_namespaces(folder: Path, program: Sequence[str]) -> tuple[int, set[str]]:
    """Return a program's exit code and the namespaces that it had."""
    flags = ("--mount", "--propagation", "private", "--net", "--pid", "--fork", "--kill-child")
    inside = (sys.executable, __file__, "--inside", str(folder), *program)
    # However this process ends, the namespaces end with it, and all that runs in them.
    bound = ("setpriv", "--pdeathsig", "KILL", "--")
    process = subprocess.Popen([*bound, "unshare", *flags, "--mount-proc", *inside])
    network = None
    try:
        _wait("the namespaces", lambda: _has_namespaces(process))
        spaces = traces.namespaces(process.pid)
        network = subprocess.Popen(
            [*bound, "slirp4netns", *_NETWORK, str(process.pid), "tap0"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        return process.wait(), spaces
    finally:
        process.kill()
        process.wait()
        if network is not None:
            network.kill()
            network.wait()
        _remove_cgroups()
        shutil.rmtree(folder / "engine", ignore_errors=True)


def _has_namespaces(process: subprocess.Popen[bytes]) -> bool:
    if process.poll() is not None:
        raise SystemExit(f"unshare ended with exit code {process.returncode}")
    try:
        return not traces.namespaces(process.pid) & traces.namespaces(os.getpid())
    except FileNotFoundError:  # the first process of the namespace is yet to start
        return False


def _remove_cgroups() -> None:
    """Remove the groups of containers that ended with the namespaces."""
    for top in (*Path("/sys/fs/cgroup").glob(CGROUP), *Path("/sys/fs/cgroup").glob(f"*/{CGROUP}")):
        for place, _, _ in os.walk(top, topdown=False):
            Path(place).rmdir()


# ---- inside -----------------------------------------------------------------------------------


def run_inside(folder: Path, program: Sequence[str]) -> int:
    """Run a program with the engine and AWS running; return its exit code."""
    # Addresses that containers' links get by themselves: for each Chromium closes its connections.
    for setting in Path("/proc/sys/net/ipv6/conf").glob("*/disable_ipv6"):
        setting.write_text("1")
    _sh("ip", "link", "set", "lo", "up")
    _sh("ip", "address", "add", f"{ADDRESS}/32", "dev", "lo")
    _mount(folder / "private")
    certificates.make(folder)
    environment = environment_of(folder)
    with ExitStack() as running:
        _wait("the network", lambda: "tap0" in _said("ip", "route"))
        running.enter_context(_names(folder))
        running.enter_context(engine.running(folder, ADDRESS, CGROUP))
        running.enter_context(_aws(folder, environment))
        return subprocess.run(program, cwd=ROOT, env=environment, check=False).returncode


def _mount(folder: Path) -> None:
    """Give this process a view of its own of the directories that anything here writes to.

    A function's layers are below /opt, and its file systems below /mnt.
    """
    folder.mkdir(exist_ok=True)
    _sh("mount", "-t", "tmpfs", "none", str(folder))
    for place in ("/etc", "/opt"):
        upper, work = folder / f"{place}.upper".lstrip("/"), folder / f"{place}.work".lstrip("/")
        upper.mkdir()
        work.mkdir()
        options = f"lowerdir={place},upperdir={upper},workdir={work}"
        _sh("mount", "-t", "overlay", "-o", options, "none", place)
    for place in ("/run", "/mnt", "/tmp"):
        _mount_empty(place)
    Path("/etc/resolv.conf").unlink(missing_ok=True)
    Path("/etc/resolv.conf").write_text(f"nameserver {ADDRESS}\n")


def _mount_empty(place: str) -> None:
    """Mount an empty directory; a checkout below it stays where it is."""
    checkout = os.open(ROOT, os.O_PATH)
    _sh("mount", "-t", "tmpfs", "none", place)
    if ROOT.is_relative_to(place):
        ROOT.mkdir(parents=True)
        words = ("mount", "--no-canonicalize", "--rbind", f"/proc/self/fd/{checkout}", str(ROOT))
        subprocess.run(words, check=True, pass_fds=(checkout,))
    os.close(checkout)


def environment_of(folder: Path) -> dict[str, str]:
    """Return the variables of a program that uses this AWS: credentials, and no endpoint at all."""
    home = folder / "home"
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir()
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AWS_", "CONDUCTO_", "XDG_")) and name != "DOCKER_HOST"
    }
    path = (str(Path(sys.executable).parent), str(folder / "node_modules/.bin"), kept["PATH"])
    return {
        **kept,
        **certificates.trust(folder),
        "PATH": os.pathsep.join(path),
        "HOME": str(home),
        "AWS_ACCESS_KEY_ID": ACCOUNT,
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
        "CDK_DISABLE_CLI_TELEMETRY": "true",
        "CONDUCTO_TEST_DEPLOY": str(folder),
    }


@contextmanager
def _names(folder: Path) -> Iterator[None]:
    words = (
        str(programs.ministack_python(folder)),
        "-m",
        "system.deploy.name_server",
        ADDRESS,
        UPSTREAM,
    )
    with _running(words, {**os.environ, "PYTHONPATH": str(ROOT / "tests")}, folder / "names.log"):
        yield


@contextmanager
def _aws(folder: Path, environment: dict[str, str]) -> Iterator[None]:
    own = {
        **environment,
        **programs.MINISTACK_ENVIRONMENT,
        "PYTHONPATH": str(ROOT / "tests"),
        "ADDRESS": ADDRESS,
    }
    words = (str(programs.ministack_python(folder)), "-m", "system.deploy.server")
    health = f"https://sts.{REGION}.amazonaws.com/_ministack/health"
    with _running(words, own, folder / "ministack.log"):
        _wait("AWS", lambda: _said("curl", "-fs", health, env=environment) != "")
        yield


@contextmanager
def _running(words: Sequence[str], environment: dict[str, str], log: Path) -> Iterator[None]:
    with log.open("wb") as file:
        process = subprocess.Popen(words, env=environment, stdout=file, stderr=subprocess.STDOUT)
        try:
            yield
        finally:
            process.kill()
            process.wait()


def _sh(*words: str) -> None:
    subprocess.run(words, check=True)


def _said(*words: str, env: dict[str, str] | None = None) -> str:
    return subprocess.run(words, env=env, capture_output=True, text=True, check=False).stdout


def _wait(what: str, condition: object) -> None:
    """Wait until a condition holds; there is no event to wait for."""
    end = time.monotonic() + START_SECONDS
    while not condition():  # type: ignore[operator]
        if time.monotonic() > end:
            raise SystemExit(f"{what}: not ready after {START_SECONDS} s")
        time.sleep(0.1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
