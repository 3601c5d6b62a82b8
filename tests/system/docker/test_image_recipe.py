"""A recipe, executed by its own script with the docker client, makes the image it describes."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from conducto_core.images import build_plan, contexts, sdk_wheel, sources
from conducto_core.images import dockerfile as install
from conducto_core.images.model import ImageSpec
from support.stand_ins import ensure

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [
    pytest.mark.docker,
    pytest.mark.skipif(shutil.which("docker") is None, reason="needs the docker client"),
]
TAG = "conducto-test-recipe:1"
BASE = "busybox:latest"
PYTHON = "python:3.11-slim"


def execute(spec: ImageSpec, home: Path, *, tag: str = TAG) -> tuple[build_plan.Built, str]:
    """Make an image as a builder elsewhere would; return it and what the script printed."""
    gathered = sources.gather(spec, _head_of)
    client = sdk_wheel.client_wheel() if install.wants_client(spec) else None
    plan = build_plan.plan(spec, gathered.sources, client)
    unpacked = home / "recipe"
    unpacked.mkdir()
    (home / "recipe.tar.gz").write_bytes(build_plan.archive(plan))
    with tarfile.open(home / "recipe.tar.gz") as tar:
        tar.extractall(unpacked, filter="data")
    store = home / "contexts"
    store.mkdir()
    for digest in plan.contexts():
        plain = store / f"{digest}.tar"
        with plain.open("wb") as file:
            file.writelines(contexts.pack(gathered.contexts[digest]))
        subprocess.run(["gzip", str(plain)], check=True)
    env = {
        **os.environ,
        "IMAGE": tag,
        "CONTEXTS": str(store),
        "RESULT": str(home / "result.json"),
    }
    done = subprocess.run(
        ["sh", "build.sh"], cwd=unpacked, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return build_plan.read_result((home / "result.json").read_text()), done.stdout


def _head_of(url: str, branch: str) -> str:
    heads = subprocess.run(
        ["git", "ls-remote", url, branch], capture_output=True, text=True, check=True
    )
    return heads.stdout.split()[0]


def config_of(tag: str) -> dict[str, object]:
    said = subprocess.run(
        ["docker", "image", "inspect", tag], capture_output=True, text=True, check=True
    )
    return dict(json.loads(said.stdout)[0]["Config"])


def output_of(tag: str, command: str) -> str:
    run = ["docker", "run", "--rm", "--label", "com.conducto.test=recipe", tag]
    done = subprocess.run(
        [*run, "/bin/sh", "-c", command], capture_output=True, text=True, check=True
    )
    return done.stdout


@pytest.fixture(autouse=True)
def bases() -> Iterator[None]:
    ensure([BASE, PYTHON])
    yield
    subprocess.run(["docker", "image", "rm", "-f", TAG], capture_output=True, check=False)


def test_code_is_copied_and_the_entry_point_is_kept_but_does_not_run(tmp_path: Path) -> None:
    code = tmp_path / "code"
    (code / "deep").mkdir(parents=True)
    (code / "deep" / "a.txt").write_text("from the code")
    (code / ".dockerignore").write_text("left-out\n")
    (code / "left-out").write_text("no")
    spec = ImageSpec(
        name="i",
        dockerfile_text=f'FROM {BASE}\nENTRYPOINT ["/bin/echo", "it\'s"]\nUSER 1000\n',
        copy_dir=str(code),
    )

    built, said = execute(spec, tmp_path)

    assert built == build_plan.Built(TAG, "/bin/ash", "/mnt/conducto")
    config = config_of(TAG)
    assert config["Entrypoint"] is None or config["Entrypoint"] == []
    assert config["User"] == "1000"
    assert 'ENTRYPOINT=["/bin/echo","it\'s"]' in config["Env"]  # type: ignore[operator]
    assert output_of(TAG, "cat deep/a.txt; ls -A; pwd") == (
        "from the code.dockerignore\ndeep\n/mnt/conducto\n"
    )
    assert output_of(TAG, "echo >> deep/a.txt; touch new deep/new; stat -c %u . new") == (
        "1000\n1000\n"
    )
    assert [line for line in said.splitlines() if line.startswith("==> ")] == [
        "==> building",
        "==> copying",
        "==> extending",
        "==> done",
    ]


def test_a_context_comes_from_where_it_was_uploaded(tmp_path: Path) -> None:
    context = tmp_path / "context"
    context.mkdir()
    (context / "data.txt").write_text("in the context")
    (context / "Dockerfile").write_text(
        f"# syntax=docker/dockerfile:1\nFROM {BASE}\nARG WHO=nobody\nCOPY data.txt /data.txt\n"
        "RUN echo $WHO >/who\n"
    )
    spec = ImageSpec(
        name="i",
        dockerfile=str(context / "Dockerfile"),
        context=str(context),
        docker_build_args={"WHO": "a b 'c'"},
    )

    built, _ = execute(spec, tmp_path)

    assert built.workdir is None
    assert output_of(TAG, "cat /data.txt /who") == "in the contexta b 'c'\n"


def test_a_repository_is_cloned_at_the_commit_that_was_looked_up(tmp_path: Path) -> None:
    origin = tmp_path / "origin"
    origin.mkdir()
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@localhost", "-C", str(origin)]
    subprocess.run([*git, "init", "-q", "-b", "main"], check=True)
    (origin / "f.txt").write_text("committed")
    subprocess.run([*git, "add", "."], check=True)
    subprocess.run([*git, "commit", "-qm", "one"], check=True)
    spec = ImageSpec(
        name="i", image=BASE, copy_url=str(origin), copy_branch="main", copies_git=True
    )

    execute(spec, tmp_path)

    head = _head_of(str(origin), "main")
    assert output_of(TAG, "cat f.txt; echo; echo $CONDUCTO_GIT_SHA") == f"committed\n{head}\n"


def test_installations_keep_the_user_of_the_image(tmp_path: Path) -> None:
    spec = ImageSpec(
        name="i",
        dockerfile_text=f"FROM {PYTHON}\nUSER nobody\n",
        install_pip=("conducto",),
    )

    execute(spec, tmp_path)

    assert config_of(TAG)["User"] == "nobody"
    assert output_of(TAG, "python3 -c 'import conducto; print(conducto.__name__)'") == "conducto\n"


def test_an_image_without_a_shell_is_refused_with_the_remedy(tmp_path: Path) -> None:
    spec = ImageSpec(name="i", dockerfile_text="FROM scratch\nCOPY x /x\n", context=str(tmp_path))
    (tmp_path / "x").write_text("x")

    with pytest.raises(AssertionError, match="no shell to run commands with"):
        execute(spec, tmp_path)


def test_equal_definitions_have_one_name_and_a_changed_file_another(tmp_path: Path) -> None:
    code = tmp_path / "code"
    code.mkdir()
    (code / "a").write_text("1")
    spec = ImageSpec(name="i", image=BASE, copy_dir=str(code))

    def digest(one: ImageSpec) -> str:
        return build_plan.plan(one, sources.gather(one, _head_of).sources).digest

    first = digest(spec)
    assert digest(spec.model_copy(update={"name": "other"})) == first
    (code / "a").write_text("2")
    assert digest(spec) != first


#: Builds every context in the folder given, with a docker client that does nothing, and prints what
#: changed on the machine outside the builds' folders.
HOSTILE = r"""
import os, subprocess, sys
recipes, contexts = sys.argv[1:]

def files():
    found = {}
    for top in ("/etc", "/home", "/root", "/usr/bin"):
        for folder, _, names in os.walk(top):
            for name in names:
                path = os.path.join(folder, name)
                state = os.lstat(path)
                found[path] = (state.st_mode, state.st_size, state.st_mtime_ns)
    return found

os.makedirs("/stub")
with open("/stub/docker", "w") as stub:
    stub.write("#!/bin/sh\ncase $1 in run) echo /bin/sh ;; image) echo null ;; esac\n")
os.chmod("/stub/docker", 0o755)
for name in sorted(os.listdir(recipes)):
    before = files()
    os.makedirs("/build/" + name)
    subprocess.run(["tar", "-xf", f"{recipes}/{name}", "-C", "/build/" + name], check=True)
    env = {"PATH": "/stub:" + os.environ["PATH"], "IMAGE": "i:1", "CONTEXTS": f"{contexts}/{name}",
           "RESULT": "/build/" + name + "/result"}
    done = subprocess.run(["sh", "build.sh"], cwd="/build/" + name, env=env, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    after = files()
    changed = sorted(p for p in before.keys() | after.keys() if before.get(p) != after.get(p))
    print(name, done.returncode, changed, done.stdout.strip().splitlines()[-1:])
"""


def _entry(
    name: str, kind: bytes, target: str = "", content: bytes = b""
) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size, info.mode = kind, target, len(content), 0o644
    return info, content


def _device(name: str) -> tuple[tarfile.TarInfo, bytes]:
    info, content = _entry(name, tarfile.CHRTYPE)
    info.devmajor, info.devminor = 1, 3
    return info, content


LINK, FILE, FOLDER = tarfile.SYMTYPE, tarfile.REGTYPE, tarfile.DIRTYPE
HOSTILE_CONTEXTS: dict[str, list[tuple[tarfile.TarInfo, bytes]]] = {
    "dockerfile-links-out": [_entry("Dockerfile", LINK, "/etc/passwd")],
    "dockerfile-is-a-folder": [_entry("Dockerfile", FOLDER)],
    "folder-links-out": [_entry("docker", LINK, "/etc"), _entry("docker/passwd", FILE, "", b"x")],
    "rules-link-out": [_entry("Dockerfile.dockerignore", LINK, "/etc/shadow")],
    "dot-dot": [_entry("../../../etc/passwd", FILE, "", b"x")],
    "absolute": [_entry("/etc/passwd", FILE, "", b"x")],
    "hard-link-out": [_entry("a", tarfile.LNKTYPE, "/etc/passwd"), _entry("a", FILE, "", b"x")],
    "device": [_device("disk")],
    "pipe": [_entry(".dockerignore", tarfile.FIFOTYPE)],
    "newlines": [_entry("a\nb\n==> done", FILE, "", b"x"), _entry("$(touch /etc/x)", FILE)],
    "many": [_entry(f"{n % 100}/{n}", FILE) for n in range(2_000)],
}


def test_hostile_context_changes_nothing_outside_the_build(tmp_path: Path) -> None:
    recipes, stores = tmp_path / "recipes", tmp_path / "contexts"
    recipes.mkdir()
    for name, entries in HOSTILE_CONTEXTS.items():
        spec = ImageSpec(name="i", dockerfile_text="FROM scratch\n")
        given = build_plan.Sources("FROM scratch\n", "Dockerfile", "c" * 64)
        (recipes / name).write_bytes(build_plan.archive(build_plan.plan(spec, given)))
        (stores / name).mkdir(parents=True)
        with tarfile.open(stores / name / f"{'c' * 64}.tar.gz", "w:gz", compresslevel=1) as tar:
            for info, content in entries:
                tar.addfile(info, io.BytesIO(content))
    (tmp_path / "check.py").write_text(HOSTILE)

    options = ["--rm", "--label", "com.conducto.test=recipe", "--network", "none"]
    mount = ["-v", f"{tmp_path}:/given:ro"]
    check = ["python3", "/given/check.py", "/given/recipes", "/given/contexts"]
    said = subprocess.run(
        ["docker", "run", *options, *mount, PYTHON, *check],
        capture_output=True,
        text=True,
        check=False,
    )

    assert said.returncode == 0, said.stdout + said.stderr
    outcomes = dict(line.split(" ", 1) for line in said.stdout.splitlines())
    assert outcomes.keys() == HOSTILE_CONTEXTS.keys()
    assert [name for name, outcome in outcomes.items() if " [] " not in outcome] == []
    assert "rules-link-out" not in [n for n, outcome in outcomes.items() if outcome[0] == "0"]
    assert "links to a file outside the build context" in outcomes["rules-link-out"]
    assert "holds a device, a pipe or a socket" in outcomes["device"]
    assert "holds a device, a pipe or a socket" in outcomes["pipe"]
    for harmless in ("dockerfile-links-out", "dockerfile-is-a-folder", "newlines", "many"):
        assert outcomes[harmless].startswith("0 "), outcomes[harmless]
