"""The script of a recipe with a docker client that only records pulls, builds and pushes."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import re
import subprocess
import tarfile
from pathlib import Path

import pytest

from conducto_core.images import build_plan, contexts
from conducto_core.images.build_plan import BuildPlan, Sources
from conducto_core.images.contexts import Ignore
from conducto_core.images.model import ImageSpec
from conducto_core.images.references import cached, parts, read_caches

#: Keeps the engine's images and the registry's in two directories, a file for each.
DOCKER = r"""#!/bin/sh
here=$(dirname "$0")
file() { printf '%s' "$1" | tr '/:' '__'; }
printf '%s\n' "$*" >>"$here/calls"
verb=$1
shift
[ "$1" = --platform ] && shift 2
set -- "$verb" "$@"
case $1 in
  pull)
    [ "$2" = --quiet ] && shift
    [ -e "$here/registry/$(file "$2")" ] || { echo "no $2" >&2; exit 1; }
    : >"$here/engine/$(file "$2")" ;;
  push)
    [ "$2" = --quiet ] && shift
    : >"$here/registry/$(file "$2")" ;;
  tag) : >"$here/engine/$(file "$3")" ;;
  build)
    while [ $# -gt 0 ]; do
      [ "$1" = --tag ] && : >"$here/engine/$(file "$2")"
      shift
    done ;;
  image)
    for last; do :; done
    [ -e "$here/engine/$(file "$last")" ] || exit 1
    case $4 in
      *User*) echo root ;;
      *Architecture*) cat "$here/platform" 2>/dev/null || echo linux/amd64 ;;
      *) echo null ;;
    esac ;;
  run) echo /bin/sh ;;
esac
"""
IMAGE = "registry.invalid/acme/images:tag"
#: Fetches a file by its path, or prints the password that the build fetches.
CURL = """#!/bin/sh
out=
while [ $# -gt 1 ]; do [ "$1" = -o ] && out=$2; shift; done
[ -z "$out" ] && echo password && exit
[ -e "$1" ] || set -- "$(dirname "$0")/tools/${1##*/}"
cp "$1" "$out"
"""


#: Programs of the index: they record their words, and keep layouts of images as directories.
CRANE = """#!/bin/sh
echo "crane $*" >>"$TOOL_CALLS"
[ "$1" = push ] || mkdir "$4"
"""
SOCI = """#!/bin/sh
echo "soci $*" >>"$TOOL_CALLS"
[ -z "${SMALL:-}" ] && mkdir "$6"
"""


class Machine:
    """A fresh machine before each build, and a registry that stays."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.registry = folder / "bin" / "registry"
        self.registry.mkdir(parents=True)
        for name, text in (("docker", DOCKER), ("curl", CURL)):
            (folder / "bin" / name).write_text(text)
            (folder / "bin" / name).chmod(0o755)
        self._numbers = iter(range(100))
        self.has("base:1")

    @property
    def calls(self) -> Path:
        """Docker's words of the last build."""
        return self.folder / "bin" / "calls"

    def has(self, reference: str) -> None:
        """Have the registry hold an image."""
        (self.registry / reference.replace("/", "_").replace(":", "_")).touch()

    def offers(self, archive: str, name: str, program: str) -> str:
        """Let the build fetch a program; return the checksum of its archive."""
        tools = self.folder / "bin" / "tools"
        tools.mkdir(exist_ok=True)
        info = tarfile.TarInfo(name)
        info.size, info.mode = len(program), 0o755
        with tarfile.open(tools / archive, "w:gz") as made:
            made.addfile(info, io.BytesIO(program.encode()))
        return hashlib.sha256((tools / archive).read_bytes()).hexdigest()

    def build(self, plan: BuildPlan, *, keep: bool = True, **variables: str) -> list[str]:
        """Run the script; return docker's words."""
        engine, calls = self.folder / "bin" / "engine", self.calls
        if engine.exists():
            for file in engine.iterdir():
                file.unlink()
        engine.mkdir(exist_ok=True)
        calls.unlink(missing_ok=True)
        here = self.folder / str(next(self._numbers))
        with tarfile.open(fileobj=io.BytesIO(build_plan.archive(plan, keep=keep))) as archive:
            archive.extractall(here, filter="data")
        contexts = self.folder / "contexts"
        contexts.mkdir(exist_ok=True)
        for digest in plan.contexts():
            with tarfile.open(contexts / f"{digest}.tar.gz", "w:gz"):
                pass
        env = {
            "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}",
            "IMAGE": IMAGE,
            "PUSH": "yes",
            "LOGIN_URL": "https://bucket.invalid/login",
            "CONTEXTS": str(contexts),
            "RESULT": str(here / "result.json"),
            "TOOL_CALLS": str(calls),
            **variables,
        }
        done = subprocess.run(
            ["sh", "build.sh"], cwd=here, env=env, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        self.said = done.stdout
        return re.sub("conducto_step_[0-9a-f]{16}", "conducto_step", calls.read_text()).splitlines()


def made(words: list[str]) -> list[str]:
    """Return which images were built."""
    return [line.split("--tag ")[1].split()[0] for line in words if line.startswith("build")]


def pushed(words: list[str]) -> list[str]:
    """Return the calls that pushed the image."""
    return [line for line in words if re.match("push (?!--)|crane|soci", line)]


def plan(code: str = "c", packages: tuple[str, ...] = ("numpy",), **more: object) -> BuildPlan:
    spec = ImageSpec(name="i", image="base:1", install_pip=packages, copy_dir="/code", **more)
    return build_plan.plan(spec, Sources(code=code * 64))


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.fixture
def indexing(machine: Machine) -> dict[str, str]:
    """The variables of a build with an index, whose tools can be fetched."""
    soci, crane = "soci-snapshotter-0.12.1-linux-amd64.tar.gz", "go-containerregistry_Linux_x86_64"
    return {
        "SOCI": "yes",
        "SOCI_SHA256": machine.offers(soci, "soci", SOCI),
        "CRANE_SHA256": machine.offers(f"{crane}.tar.gz", "crane", CRANE),
    }


def test_image_is_pushed_with_an_index(machine: Machine, indexing: dict[str, str]) -> None:
    words = pushed(machine.build(plan(), **indexing))

    plain = IMAGE.replace(":tag", ":plain-tag")
    assert words == [
        f"push {plain}",
        f"crane pull --format=oci {plain} work/plain",
        "soci convert --standalone --format oci-dir work/plain work/indexed",
        f"crane push work/indexed {IMAGE}",
    ]


@pytest.mark.parametrize(
    ("change", "message"),
    [({"SOCI_SHA256": "0" * 64}, "has another checksum than 000"), ({"SMALL": "yes"}, "")],
)
def test_image_without_an_index_is_pushed_as_it_is(
    machine: Machine, indexing: dict[str, str], change: dict[str, str], message: str
) -> None:
    words = pushed(machine.build(plan(), **{**indexing, **change}))

    assert words[-1] == f"push {IMAGE}"
    assert message in machine.said
    assert "the image is pushed without a SOCI index" in machine.said
    assert pushed(machine.build(plan("d"))) == [f"push {IMAGE}"]


def test_installed_layers_are_fetched_if_only_the_code_has_changed(
    machine: Machine,
) -> None:
    first = machine.build(plan("c"))
    second = machine.build(plan("d"))

    assert made(first) == ["conducto_step:0", "conducto_step:1", IMAGE]
    assert made(second) == ["conducto_step:1", IMAGE]
    assert "an earlier build made this already: installed" in machine.said
    assert not [line for line in second if line == "pull base:1"]  # a fetched layer includes it


def test_another_requirement_is_another_step(machine: Machine) -> None:
    machine.build(plan())

    assert made(machine.build(plan(packages=("numpy", "scipy")))) == [
        "conducto_step:0",
        "conducto_step:1",
        IMAGE,
    ]


def test_code_is_in_no_step_that_is_kept(machine: Machine) -> None:
    calls = machine.build(plan())

    pushed = [line for line in calls if line.startswith("push")]
    assert len(pushed) == 2
    assert pushed[0].startswith("push --quiet registry.invalid/acme/images:step-")
    assert pushed[1] == f"push {IMAGE}"
    assert plan().cache_key(1) == ""


def test_image_facts_are_delivered_before_the_push(machine: Machine) -> None:
    calls = machine.build(plan())

    (inspected,) = (n for n, line in enumerate(calls) if "WorkingDir" in line)  # for the result
    assert inspected < calls.index(f"push {IMAGE}")


def test_the_images_between_the_steps_have_names_of_their_own_and_are_forgotten(
    machine: Machine,
) -> None:
    calls = machine.build(plan())
    names = set(re.findall("conducto_step_[0-9a-f]{16}", machine.calls.read_text()))
    machine.build(plan("d"))
    later = set(re.findall("conducto_step_[0-9a-f]{16}", machine.calls.read_text()))

    assert len(names) == len(later) == 1
    assert names != later
    assert calls[-2:] == ["image rm conducto_step:0", "image rm conducto_step:1"]
    (name,) = names
    assert (machine.folder / "0/work/1.dockerfile").read_text().startswith(f"FROM {name}:0\n")


@pytest.mark.parametrize("how", [{"keep": False}, {"PUSH": ""}])
def test_a_rebuild_and_a_build_at_home_neither_fetch_nor_keep_steps(
    machine: Machine, how: dict[str, object]
) -> None:
    machine.build(plan())

    calls = machine.build(plan(), **how)  # type: ignore[arg-type]

    assert made(calls) == ["conducto_step:0", "conducto_step:1", IMAGE]
    assert not [line for line in calls if "step-" in line]


def test_bases_come_from_the_caches_of_their_registries(machine: Machine) -> None:
    machine.has("cache.invalid/hub/library/base:1")

    calls = machine.build(plan(), PULL_THROUGH="docker.io=cache.invalid/hub quay.io=elsewhere")

    assert "pull cache.invalid/hub/library/base:1" in calls
    assert "tag cache.invalid/hub/library/base:1 base:1" in calls
    assert "pull base:1" not in calls


def test_image_missing_in_the_cache_comes_from_its_own_registry(machine: Machine) -> None:
    calls = machine.build(plan(), PULL_THROUGH="docker.io=cache.invalid/hub")

    assert "pull base:1" in calls
    assert "cache.invalid/hub/library/base:1 is not to be had" in machine.said


def test_all_images_that_a_dockerfile_builds_on_are_bases() -> None:
    text = "ARG V=1\nFROM quay.io/a/b:$V AS one\nFROM one\nCOPY --from=tools:2 /x /x\n"
    spec = ImageSpec(name="i", dockerfile_text=text, install_pip=("numpy",))
    made = build_plan.plan(spec, Sources(dockerfile=text))

    assert made.bases() == ("quay.io/a/b:1", "tools:2")


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("python", ("docker.io", "library/python")),
        ("docker.io/python:3", ("docker.io", "library/python:3")),
        ("me/x:1", ("docker.io", "me/x:1")),
        ("quay.io/a/b", ("quay.io", "a/b")),
        ("localhost/x", ("localhost", "x")),
        ("host:5000/x@sha256:00", ("host:5000", "x@sha256:00")),
    ],
)
def test_a_reference_has_a_registry_and_a_path(reference: str, expected: tuple[str, str]) -> None:
    assert parts(reference) == expected


def test_only_images_of_a_registry_with_a_cache_are_called_otherwise() -> None:
    caches = read_caches("docker.io=here/hub quay.io=here/quay")

    assert cached("busybox", caches) == "here/hub/library/busybox"
    assert cached("quay.io/a/b@sha256:0", caches) == "here/quay/a/b@sha256:0"
    assert cached("own.invalid/a:1", caches) == "own.invalid/a:1"
    assert read_caches("") == {}


def test_context_with_other_content_than_its_hash_is_refused(tmp_path: Path) -> None:
    code = tmp_path / "code"
    code.mkdir()
    (code / "main.py").write_text("theirs")
    context = contexts.read_context(str(code), Ignore())
    digest = contexts.upload_hash(context)
    upload = tmp_path / "upload.tar.gz"
    recipe_of_code = build_plan.plan(
        ImageSpec(name="i", image="base:1", copy_dir="/code"), Sources(code=digest)
    )
    machine = Machine(tmp_path / "machine")

    upload.write_bytes(gzip.compress(b"".join(contexts.pack_for_upload(context))))
    machine.build(recipe_of_code, CONTEXTS="", **{f"CONTEXT_{digest}": str(upload)})
    (code / "main.py").write_text("mine!!")
    changed = contexts.read_context(str(code), Ignore())
    upload.write_bytes(gzip.compress(b"".join(contexts.pack_for_upload(changed))))

    with pytest.raises(AssertionError, match=f"context {digest} has the wrong content"):
        machine.build(recipe_of_code, CONTEXTS="", **{f"CONTEXT_{digest}": str(upload)})
    assert made(machine.calls.read_text().splitlines()) == []


def test_build_for_the_cloud_is_for_the_platform_of_workers(machine: Machine) -> None:
    said = machine.build(plan(), PLATFORM="linux/amd64")

    runs = [line for line in said if line.split()[0] in {"pull", "build", "run"}]
    assert {line.split()[0] for line in runs} == {"pull", "build", "run"}
    for line in runs:
        assert line.split()[1:3] == ["--platform", "linux/amd64"]


def test_image_for_another_platform_is_refused_and_not_pushed(machine: Machine) -> None:
    (machine.folder / "bin" / "platform").write_text("linux/arm64")

    with pytest.raises(AssertionError, match="is for linux/arm64, and workers are linux/amd64"):
        machine.build(plan(), PLATFORM="linux/amd64")
    assert not [line for line in machine.calls.read_text().splitlines() if line.startswith("push")]


def test_image_for_arm_is_built_for_its_workers_wherever_it_is_built(
    machine: Machine, indexing: dict[str, str]
) -> None:
    (machine.folder / "bin" / "platform").write_text("linux/arm64")

    said = machine.build(plan(arch="arm64"), PLATFORM="linux/amd64", **indexing)

    runs = [line for line in said if line.split()[0] in {"pull", "build", "run"}]
    assert {tuple(line.split()[1:3]) for line in runs} == {("--platform", "linux/arm64")}
    assert pushed(said) == [f"push {IMAGE}"]  # the tools that make an index are for x86
    here = machine.build(plan("d", arch="arm64"))  # workers use the engine of this machine
    assert not [line for line in here if "--platform" in line]
