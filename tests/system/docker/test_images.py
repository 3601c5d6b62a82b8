"""Images are built by a real engine, from bases that no registry has to be asked for."""

from __future__ import annotations

import asyncio
import contextlib
import json
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from conducto.version import DISTRIBUTION
from conducto_core.images.contexts import TAR_END, pack_files
from conducto_core.images.model import ImageSpec
from conducto_local.engine.docker.http import Address, HttpClient
from conducto_local.engine.port import BuildPart, BuiltImage, ImageError
from conducto_local.images import Builder
from support.stand_ins import call, engine_socket, ensure, is_podman

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from conducto_core.run.model.records import ImageState

pytestmark = pytest.mark.docker

LABELS = {"com.conducto.test": "images"}
ONLY_OURS = {"filters": json.dumps({"label": ["com.conducto.test=images"]})}


@dataclass
class Log:
    steps: list[str] = field(default_factory=list)
    text: str = ""
    parts: list[BuildPart] = field(default_factory=list)

    def step(self, state: ImageState) -> None:
        self.steps.append(state.value)

    def part(self, part: BuildPart) -> None:
        self.parts.append(part)

    def write(self, text: str) -> None:
        self.text += text


def build_base(tag: str, *lines: str) -> str:
    # An image of its own, so that no layer built on it is anybody else's.
    label = f"LABEL com.conducto.test=images one={uuid.uuid4().hex}"
    text = "\n".join([*lines[:1], label, *lines[1:]]) + "\n"
    body = pack_files({"Dockerfile": text.encode()}) + TAR_END
    status, response = call("POST", "/build", {"t": tag, "version": 2}, body=body)
    assert status == 200, response
    assert b'"error"' not in response, response
    return tag


@pytest.fixture(scope="session")
def clean() -> Iterator[None]:
    yield
    for kind in ("containers", "images"):
        _status, body = call("GET", f"/{kind}/json", {**ONLY_OURS, "all": "1"})
        for one in json.loads(body):
            # By names first: an id with several of them cannot be removed.
            for name in (one.get("RepoTags") or []) if kind == "images" else []:
                call("DELETE", f"/images/{name}")
            call("DELETE", f"/{kind}/{one['Id']}", {"force": "1"})


@pytest.fixture(scope="session")
def python_base(clean: None) -> str:
    ensure(["python:3.11-slim"])
    return build_base("conducto-test/images-python:latest", "FROM python:3.11-slim")


@pytest.fixture(scope="session")
def busybox_base(clean: None) -> str:
    ensure(["busybox:latest"])
    return build_base("conducto-test/images-busybox:latest", "FROM busybox:latest")


@pytest.fixture
async def builder(tmp_path: Path, clean: None) -> AsyncIterator[Builder]:
    http = HttpClient(Address(path=engine_socket()))
    yield Builder(http, tmp_path / "cache", labels=LABELS)
    await http.close()


@pytest.fixture
def code(tmp_path: Path) -> Path:
    root = tmp_path / "code"
    root.mkdir()
    (root / "main.py").write_text("print('hello')\n")
    return root


async def build(builder: Builder, **fields: Any) -> tuple[BuiltImage, Log]:
    log = Log()
    return await builder.for_launch().build(ImageSpec(name="test", **fields), log), log


async def fail(builder: Builder, **fields: Any) -> tuple[str, Log]:
    log = Log()
    with pytest.raises(ImageError) as caught:
        await builder.build(ImageSpec(name="test", **fields), log)
    assert log.steps[-1] == "error"
    return str(caught.value), log


def run(image: BuiltImage, script: str) -> str:
    """Return the output of a command in a container that is started as workers are."""
    settings = {
        "Image": image.reference,
        "Entrypoint": [image.shell, "-c", script],
        "Tty": True,
        "Labels": LABELS,
        "HostConfig": {"NetworkMode": "none"},
    }
    name = f"conducto-test-images-{uuid.uuid4().hex}"
    status, response = _post_json(f"/containers/create?name={name}", settings)
    assert status == 201, response
    call("POST", f"/containers/{name}/start")
    call("POST", f"/containers/{name}/wait")
    _status, output = call("GET", f"/containers/{name}/logs", {"stdout": 1, "stderr": 1})
    call("DELETE", f"/containers/{name}", {"force": 1})
    return output.decode().replace("\r\n", "\n")


def _post_json(path: str, value: object) -> tuple[int, bytes]:
    return call("POST", path, body=json.dumps(value).encode(), kind="application/json")


def inspect(reference: str) -> dict[str, Any]:
    status, body = call("GET", f"/images/{reference}/json")
    assert status == 200, body
    return json.loads(body)


async def test_local_image_is_not_pulled(builder: Builder, busybox_base: str) -> None:
    image, log = await build(builder, image=busybox_base)

    assert "pulling" not in log.steps
    assert image.reference.startswith("conducto_extended:")


async def test_missing_image_error_names_the_checks(builder: Builder) -> None:
    name = f"conducto-test/no-such-image-{uuid.uuid4().hex}:1"

    message, log = await fail(builder, image=name)

    assert log.steps == ["queued", "pulling", "error"]
    assert f"image '{name}': not on this machine and cannot be pulled" in message
    assert "Check its spelling" in message
    assert "docker login" in message
    assert "the network" in message


@pytest.mark.parametrize(
    ("base", "shell"),
    [
        ("python:3.11-slim", "/usr/bin/bash"),
        ("busybox:latest", "/bin/ash"),
        ("bash:latest", "bash"),
    ],
)
async def test_best_shell_is_found(builder: Builder, base: str, shell: str) -> None:
    ensure([base])

    image, _log = await build(builder, dockerfile_text=f"FROM {base}\nLABEL one={uuid.uuid4()}")

    assert image.shell.endswith(shell)


async def test_shell_that_is_asked_for_is_taken(builder: Builder, busybox_base: str) -> None:
    image, _log = await build(builder, image=busybox_base, shell="/bin/sh")

    assert image.shell == "/bin/sh"


async def test_shell_that_is_not_there_is_named(builder: Builder, busybox_base: str) -> None:
    message, _log = await fail(builder, image=busybox_base, shell="/bin/fish")

    assert "no shell '/bin/fish'" in message


async def test_image_without_a_shell_is_refused(builder: Builder) -> None:
    text = f"FROM scratch\nLABEL one={uuid.uuid4()}\nCMD x\n"

    message, _log = await fail(builder, dockerfile_text=text)

    assert "Could not auto-determine correct shell to use" in message


async def test_conducto_is_a_command_in_the_image(
    builder: Builder, python_base: str, code: Path
) -> None:
    image, log = await build(
        builder, image=python_base, install_pip=("conducto",), copy_dir=str(code)
    )

    assert log.steps == ["queued", "installing", "copying", "extending", "done"]
    assert run(image, "command -v conducto").strip() == "/usr/local/bin/conducto"
    assert run(image, f"python -m pip show {DISTRIBUTION}").startswith(f"Name: {DISTRIBUTION}\n")


async def test_native_function_runs_in_the_image(
    builder: Builder, python_base: str, code: Path
) -> None:
    (code / "main.py").write_text("def greet(name: str) -> None:\n    print('hello', name)\n")

    image, _log = await build(
        builder, image=python_base, install_pip=("conducto",), copy_dir=str(code)
    )

    assert run(image, "conducto main.py greet --name=you") == "hello you\n"


async def test_our_own_package_needs_no_registry(builder: Builder, python_base: str) -> None:
    text = f"FROM {python_base}\nENV PIP_INDEX_URL=http://127.0.0.1:9/ PIP_RETRIES=0\n"

    image, _log = await build(builder, dockerfile_text=text, install_pip=("conducto==0.1.28",))

    assert "0.1.28" not in run(image, "python -m pip show conducto")


async def test_equal_definitions_are_built_once(
    builder: Builder, python_base: str, code: Path
) -> None:
    (code / "only.txt").write_text(uuid.uuid4().hex)
    logs = [Log(), Log()]
    specs = [ImageSpec(name=name, image=python_base, copy_dir=str(code)) for name in ("one", "two")]

    images = await asyncio.gather(*map(builder.build, specs, logs))

    assert images[0] == images[1]
    assert logs[0].steps == logs[1].steps == ["queued", "copying", "extending", "done"]


async def test_built_image_is_found_again(builder: Builder, python_base: str, code: Path) -> None:
    first, _log = await build(builder, image=python_base, copy_dir=str(code))
    second, log = await build(builder, image=python_base, copy_dir=str(code))

    assert first == second
    assert log.steps == ["queued", "done"]


async def test_changed_code_rebuilds_only_the_copy(
    builder: Builder, busybox_base: str, code: Path
) -> None:
    text = f"FROM {busybox_base}\nRUN echo {uuid.uuid4()}\n"
    await build(builder, dockerfile_text=text, copy_dir=str(code))
    (code / "main.py").write_text("print('changed')\n")

    image, log = await build(builder, dockerfile_text=text, copy_dir=str(code))

    assert log.steps == ["queued", "copying", "extending", "done"]
    assert run(image, "cat main.py") == "print('changed')\n"


async def test_code_is_copied_and_mapped(builder: Builder, busybox_base: str, code: Path) -> None:
    (code / "run.sh").write_text("echo ran\n")
    (code / "run.sh").chmod(0o755)
    (code / ".dockerignore").write_text("secret\n")
    (code / "secret").write_text("")

    image, _log = await build(builder, image=busybox_base, copy_dir=str(code))

    assert image.workdir == "/mnt/conducto"
    assert image.path_map == {str(code): "/mnt/conducto"}
    listed = ".dockerignore\nmain.py\nrun.sh\n"
    assert run(image, "pwd; ./run.sh; ls -1A") == f"/mnt/conducto\nran\n{listed}"


async def test_copied_code_belongs_to_the_images_user(
    builder: Builder, busybox_base: str, code: Path
) -> None:
    (code / "deep").mkdir()
    user = "app:x:1234:5678::/:/bin/sh"
    text = f"FROM {busybox_base}\nRUN echo '{user}' >>/etc/passwd\nUSER app\n"

    image, _log = await build(builder, dockerfile_text=text, copy_dir=str(code))

    written = "echo a >> main.py; echo b > new; echo c > deep/new; stat -c %u:%g . main.py deep new"
    assert run(image, written) == "1234:5678\n" * 4


async def test_workdir_stays_when_asked(builder: Builder, busybox_base: str, code: Path) -> None:
    image, _log = await build(
        builder,
        dockerfile_text=f"FROM {busybox_base}\nWORKDIR /srv\n",
        copy_dir=str(code),
        docker_auto_workdir=False,
    )

    assert image.workdir == "/srv"
    assert run(image, "pwd; ls -1 /mnt/conducto") == "/srv\nmain.py\n"


async def test_copied_repository_keeps_its_history(
    builder: Builder, busybox_base: str, code: Path
) -> None:
    await _git(code, "init", "-q", "-b", "main")
    await _git(code, "add", ".")
    await _git(code, "commit", "-q", "-m", "one")
    (code / ".dockerignore").write_text("*\n!main.py\n")

    image, _log = await build(builder, image=busybox_base, copy_dir=str(code), copies_git=True)

    sha = (await _git(code, "rev-parse", "HEAD")).strip()
    assert run(image, "echo $CONDUCTO_GIT_SHA; ls -1A") == f"{sha}\n.git\nmain.py\n"


async def test_repository_is_cloned_once_a_launch(
    builder: Builder, busybox_base: str, code: Path
) -> None:
    await _git(code, "init", "-q", "-b", "main")
    await _git(code, "add", ".")
    await _git(code, "commit", "-q", "-m", "one")
    origin = {"copy_url": str(code), "copy_branch": "main", "copies_git": True}
    launch = builder.for_launch()
    first_log, second_log = Log(), Log()

    first = await launch.build(ImageSpec(name="a", image=busybox_base, **origin), first_log)
    (code / "main.py").write_text("newer")
    await _git(code, "commit", "-q", "-a", "-m", "two")
    same = await launch.build(
        ImageSpec(name="b", image=busybox_base, shell="/bin/sh", **origin), second_log
    )
    next_launch, _log = await build(builder, image=busybox_base, **origin)

    assert first_log.steps == ["queued", "cloning", "copying", "extending", "done"]
    assert "cloning" not in second_log.steps
    assert run(first, "cat main.py") == run(same, "cat main.py") == "print('hello')\n"
    assert run(next_launch, "cat main.py; echo $CONDUCTO_GIT_BRANCH") == "newermain\n"


async def _git(folder: Path, *arguments: str) -> str:
    who = ("-c", "user.name=t", "-c", "user.email=t@example.com")
    process = await asyncio.create_subprocess_exec(
        "git", *who, *arguments, cwd=folder, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    assert process.returncode == 0
    return output.decode()


async def test_entrypoint_is_cleared_and_kept(builder: Builder, busybox_base: str) -> None:
    text = (
        f'FROM {busybox_base}\nENTRYPOINT ["/bin/echo", "hi"]\nCMD ["x"]\n'
        "USER 1000\nENV A=1\nWORKDIR /tmp\n"
    )

    image, _log = await build(builder, dockerfile_text=text)

    config = inspect(image.reference)["Config"]
    assert config["Entrypoint"] in (None, [])
    assert (config["Cmd"], config["User"], config["WorkingDir"]) == (["x"], "1000", "/tmp")
    assert run(image, 'echo "$ENTRYPOINT $A $(id -u)"') == '["/bin/echo", "hi"] 1 1000\n'


async def test_user_is_the_images_own_after_installing(builder: Builder, python_base: str) -> None:
    text = f"FROM {python_base}\nUSER nobody\n"

    image, _log = await build(builder, dockerfile_text=text, install_pip=("conducto",))

    assert run(image, "id -un; command -v conducto") == "nobody\n/usr/local/bin/conducto\n"


async def test_image_is_labelled(builder: Builder, busybox_base: str) -> None:
    image, _log = await build(builder, image=busybox_base)

    labels = inspect(image.reference)["Config"]["Labels"]
    assert labels["com.conducto.image.layer"] == "extended"
    assert labels["com.conducto.image.shell"] == image.shell
    assert labels["com.conducto.test"] == "images"


async def test_dockerfile_sees_its_folder_and_arguments(
    builder: Builder, busybox_base: str, code: Path
) -> None:
    (code / ".dockerignore").write_text("left-out\n")
    (code / "left-out").write_text("")
    (code / "docker").mkdir()
    (code / "docker/Dockerfile").write_text(
        f"# syntax=docker/dockerfile:1\nFROM {busybox_base}\nARG WHO=nobody\n"
        "COPY . /app\nRUN <<END\necho $WHO > /who\nEND\n"
        "RUN --mount=type=cache,target=/cache touch /cache/x\n"
    )

    image, log = await build(
        builder,
        dockerfile=str(code / "docker/Dockerfile"),
        context=str(code),
        docker_build_args={"WHO": "me"},
    )

    assert log.steps[:2] == ["queued", "building"]
    assert run(image, "cat /who; ls -1A /app") == "me\n.dockerignore\ndocker\nmain.py\n"


async def test_folder_of_the_dockerfile_is_the_context(
    builder: Builder, busybox_base: str, code: Path
) -> None:
    (code / "Dockerfile").write_text(f"FROM {busybox_base}\nCOPY main.py /\n")

    image, _log = await build(builder, dockerfile=str(code / "Dockerfile"))

    assert run(image, "cat /main.py") == "print('hello')\n"


async def test_changed_context_is_built_again(
    builder: Builder, busybox_base: str, code: Path
) -> None:
    (code / "Dockerfile").write_text(f"FROM {busybox_base}\nCOPY main.py /\n")
    await build(builder, dockerfile=str(code / "Dockerfile"))
    (code / "main.py").write_text("new")

    image, log = await build(builder, dockerfile=str(code / "Dockerfile"))

    assert "building" in log.steps
    assert run(image, "cat /main.py") == "new"


async def test_new_base_is_built_upon(builder: Builder) -> None:
    base = "conducto-test/images-moving:latest"
    text = f"FROM {base}\n"
    build_base(base, "FROM busybox:latest", "RUN echo 1 > /version")
    await build(builder, dockerfile_text=text)
    build_base(base, "FROM busybox:latest", "RUN echo 2 > /version")

    image, _log = await build(builder, dockerfile_text=text)

    assert run(image, "cat /version") == "2\n"


async def test_failed_build_ends_with_its_last_lines(builder: Builder, busybox_base: str) -> None:
    # One stream: between two the builder keeps no order.
    text = f"FROM {busybox_base}\nRUN (seq 100; printf '\\033[31mred\\033[0m') >&2; exit 3\n"

    message, log = await fail(builder, dockerfile_text=text)

    assert message.startswith("dockerfile_text failed to build: ")
    assert message.splitlines()[-2:] == ["100", "red"]
    assert len(message.splitlines()) == 16
    assert "\n1\n2\n3\n" in log.text


async def test_secret_mounts_are_refused_with_the_reason(
    builder: Builder, busybox_base: str
) -> None:
    text = f"FROM {busybox_base}\nRUN --mount=type=secret,id=a cat /run/secrets/a\n"

    message, _log = await fail(builder, dockerfile_text=text)

    assert "type=secret and type=ssh are not available" in message


async def test_missing_dockerfile_is_named(builder: Builder, tmp_path: Path) -> None:
    message, _log = await fail(builder, dockerfile=str(tmp_path / "Dockerfile.nope"))

    assert message == f"dockerfile '{tmp_path}/Dockerfile.nope' does not exist; check the path"


async def test_missing_code_is_named(builder: Builder, busybox_base: str, tmp_path: Path) -> None:
    message, _log = await fail(builder, image=busybox_base, copy_dir=str(tmp_path / "nope"))

    assert f"'{tmp_path}/nope' does not exist; check the path" in message


async def test_failure_does_not_stick(builder: Builder, busybox_base: str, tmp_path: Path) -> None:
    await fail(builder, image=busybox_base, copy_dir=str(tmp_path / "later"))
    (tmp_path / "later").mkdir()

    spec = ImageSpec(name="test", image=busybox_base, copy_dir=str(tmp_path / "later"))

    assert (await builder.build(spec, Log())).workdir == "/mnt/conducto"


async def test_unknown_distribution_error_names_an_alternative(
    builder: Builder, busybox_base: str
) -> None:
    message, _log = await fail(builder, image=busybox_base, install_packages=("jq",))

    assert "Don't know how to install packages for linux_flavor=unknown" in message


async def test_npm_installs_the_packages_of_the_code(
    builder: Builder, busybox_base: str, code: Path
) -> None:
    npm = r"""printf '#!/bin/sh\npwd; cat package.json; mkdir node_modules\n' > /bin/npm"""
    text = f"FROM {busybox_base}\nRUN {npm}; chmod +x /bin/npm\n"
    package = json.dumps({"name": uuid.uuid4().hex})
    (code / "package.json").write_text(f"{package}\n")
    (code / "node_modules/host").mkdir(parents=True)

    image, log = await build(builder, dockerfile_text=text, install_npm=True, copy_dir=str(code))

    assert f"/mnt/conducto\n{package}\n" in log.text
    assert run(image, "ls -1; ls -1 node_modules") == "main.py\nnode_modules\npackage.json\n"


async def test_npm_without_package_json_is_reported(
    builder: Builder, busybox_base: str, code: Path
) -> None:
    message, _log = await fail(builder, image=busybox_base, install_npm=True, copy_dir=str(code))

    assert "install_npm=True" in message
    assert "package.json" in message


async def test_large_code_streams(builder: Builder, busybox_base: str, code: Path) -> None:
    with (code / "big").open("wb") as file:
        file.truncate(64 << 20)

    image, _log = await build(builder, image=busybox_base, copy_dir=str(code))

    assert run(image, "wc -c < big").strip() == str(64 << 20)


async def test_code_rejected_by_the_engine_is_not_a_lost_engine(
    builder: Builder, busybox_base: str, code: Path
) -> None:
    with (code / "big").open("wb") as file:
        file.truncate(16 << 20)
    text = f"FROM {busybox_base}\nRUN echo > /mnt\n"

    message, _log = await fail(builder, dockerfile_text=text, copy_dir=str(code))

    assert "engine rejected the files" in message or "cannot copy the code" in message


async def test_abandoned_build_ends(builder: Builder, busybox_base: str) -> None:
    if is_podman():
        pytest.skip("Podman ends the step that runs before it looks whether the client has left")
    command = f"sleep {1000 + uuid.uuid4().int % 100000}"
    text = f"FROM {busybox_base}\nRUN {command}\n"
    task = asyncio.create_task(builder.build(ImageSpec(name="a", dockerfile_text=text), Log()))
    assert await _comes_true(lambda: _runs_here(command))
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    assert await _comes_true(lambda: not _runs_here(command))


async def _comes_true(condition: Callable[[], bool]) -> bool:
    for _ in range(200):
        if condition():
            return True
        await asyncio.sleep(0.1)
    return False


def _runs_here(command: str) -> bool:
    """Return whether a process of this machine, in a container or not, runs a command."""
    wanted = command.replace(" ", "\0").encode() + b"\0"
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):  # gone since it was listed
            if path.read_bytes() == wanted:
                return True
    return False


async def test_nothing_is_left_of_the_work(builder: Builder, busybox_base: str, code: Path) -> None:
    await build(builder, image=busybox_base, copy_dir=str(code))
    await fail(builder, image=busybox_base, shell="/bin/fish")

    _status, body = call("GET", "/containers/json", {**ONLY_OURS, "all": "1"})

    assert json.loads(body) == []


async def test_packages_and_requirements_are_installed(builder: Builder, python_base: str) -> None:
    """Needs the registries of Debian and Python."""
    image, _log = await build(
        builder,
        image=python_base,
        install_packages=("jq",),
        install_pip=("six", "conducto"),
    )

    script = "jq --version >/dev/null && python -c 'import six; print(six.__name__)'"
    assert run(image, script) == "six\n"
