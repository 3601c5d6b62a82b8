"""Images that this machine builds for the cloud; the docker client is a script that tells."""

from __future__ import annotations

import base64
import io
import json
import tarfile
from typing import TYPE_CHECKING

import pytest

from conducto.errors import UsageError
from conducto_cli.launch import local_builds
from conducto_cli.launch.local_builds import BuildOutput, ImageBuildError
from conducto_core.api.cloud_operations import OwnBuild, OwnBuilds, RegistryLogin
from conducto_core.images.contexts import Context, Ignore, read_context
from conducto_core.run.model.requests import LaunchRequest
from support.bucket import HttpBucket

if TYPE_CHECKING:
    from pathlib import Path

DIGEST = "d" * 64
PASSWORD = "pass" + "word" * 3
LOGIN = RegistryLogin(registry="registry.invalid", user="AWS", password=PASSWORD, expires=0.0)
REQUEST = LaunchRequest(tree={"nodes": []})
DOCKER = """#!/bin/sh
case $* in
  *"context inspect"*) echo unix:///run/mine.sock; exit 0 ;;
esac
printf '%s\\n' "$*" >>{record}
printf 'host %s\\n' "${{DOCKER_HOST:-}}" >>{record}
if [ "$1" = --config ]; then
  {{ cat "$2/config.json"; echo; ls -l "$2/config.json"; }} >>{record}
fi
exit {code}
"""
SUCCEEDS = f"""
set -e
echo '==> building'
tar -xzOf "$CONTEXTS/{DIGEST}.tar.gz" words
echo "image $IMAGE push <$PUSH>"
echo '{{"reference": "x", "shell": "/bin/sh", "workdir": ""}}' >"$RESULT"
echo '==> done'
"""


def _recipe(script: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        info = tarfile.TarInfo("build.sh")
        info.size = len(script)
        archive.addfile(info, io.BytesIO(script.encode()))
    return buffer.getvalue()


class Bench:
    """A cloud that wants one image, and a machine that builds it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.said: list[str] = []
        self.login: RegistryLogin | None = LOGIN
        self.code = 0
        self.refused = ""
        self.bucket: HttpBucket
        code = folder / "code"
        code.mkdir()
        (code / "words").write_text("from the code\n")
        self.found: dict[str, Context] = {DIGEST: read_context(str(code), Ignore())}

    def own_builds(self, request: LaunchRequest) -> OwnBuilds:
        assert request is REQUEST
        one = OwnBuild(
            image="own",
            reference="registry.invalid/acme:tag",
            contexts=(DIGEST,),
            recipe_url=f"{self.bucket.url}/recipe",
            log_url=f"{self.bucket.url}/log",
            result_url=f"{self.bucket.url}/result",
        )
        return OwnBuilds(builds=(one,), login=self.login)

    def build(self, script: str) -> int:
        docker = self.folder / "docker"
        docker.write_text(DOCKER.format(record=self.record, code=self.code))
        docker.chmod(0o755)
        self.bucket = HttpBucket(_recipe(script), self.refused)
        try:
            return local_builds.build(self, REQUEST, self.found, self.said.append, str(docker))  # type: ignore[arg-type]
        finally:
            self.bucket.close()

    @property
    def record(self) -> Path:
        return self.folder / "record"


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_an_image_is_built_of_its_directory_reported_and_pushed(bench: Bench) -> None:
    assert bench.build(SUCCEEDS) == 1

    log = bench.bucket.taken["/log"].decode()
    assert "from the code\nimage registry.invalid/acme:tag push <>\n" in log
    assert json.loads(bench.bucket.taken["/result"])["shell"] == "/bin/sh"
    assert set(bench.bucket.taken) == {"/log", "/result"}
    assert bench.said == ["image 'own': building", "image 'own': done", "image 'own': pushing"]


def test_only_the_push_sees_the_log_in_and_nothing_keeps_it(bench: Bench) -> None:
    bench.build(SUCCEEDS)

    push, host, config, rights = bench.record.read_text().splitlines()
    known = json.loads(config)["auths"]
    assert push.endswith("push registry.invalid/acme:tag")
    assert host == "host unix:///run/mine.sock"  # docker's own contexts are in its config
    assert base64.b64decode(known["registry.invalid"]["auth"]).decode() == f"AWS:{PASSWORD}"
    assert rights.startswith("-rw-------")
    assert PASSWORD not in push
    assert b"password" not in b"".join(bench.bucket.taken.values())


def test_where_the_engine_is_the_registry_nothing_is_pushed(bench: Bench) -> None:
    bench.login = None

    bench.build(SUCCEEDS)

    assert not bench.record.exists()
    assert "/result" in bench.bucket.taken


@pytest.mark.parametrize(
    ("script", "code", "words", "delivered"),
    [
        ("echo no such package; exit 3", 0, ("was not built", "no such package"), {"/log"}),
        # A caller that finds a result checks whether the image exists, too.
        (SUCCEEDS, 1, ("was built and not pushed", "from the code"), {"/log", "/result"}),
    ],
    ids=["build", "push"],
)
def test_failed_build_or_push_shows_its_last_lines(
    bench: Bench, script: str, code: int, words: tuple[str, str], delivered: set[str]
) -> None:
    bench.code = code

    with pytest.raises(ImageBuildError, match=f"image 'own': it {words[0]}") as caught:
        bench.build(script)

    assert words[1] in str(caught.value)
    assert set(bench.bucket.taken) == delivered


def test_a_log_that_cannot_be_kept_does_not_hide_why_the_build_failed(bench: Bench) -> None:
    bench.refused = "/log"

    with pytest.raises(ImageBuildError, match="no such package"):
        bench.build("echo no such package; exit 3")

    assert any("not kept" in line for line in bench.said)


def test_build_requires_a_docker_client(bench: Bench) -> None:
    bench.bucket = HttpBucket(_recipe(SUCCEEDS))
    try:
        with pytest.raises(UsageError, match="docker client, which is not installed"):
            local_builds.build(bench, REQUEST, bench.found, bench.said.append, "no-docker-here")  # type: ignore[arg-type]
    finally:
        bench.bucket.close()

    assert bench.bucket.taken == {}


def test_long_output_keeps_its_beginning_and_end() -> None:
    output = BuildOutput()

    output.add(b"first\n")
    for _ in range(50):
        output.add(b"x" * ((1 << 20) - 1) + b"\n")
    output.add(b"last\n")

    kept = output.all()
    assert kept.startswith(b"first\n")
    assert kept.endswith(b"x\nlast\n")
    assert b"(what the build printed in between was not kept)" in kept
    assert len(kept) < 2 * (1 << 20) + 100
    assert output.last_lines()[-1] == "last"


def test_short_output_is_kept_unchanged() -> None:
    output = BuildOutput()
    for line in (b"one\n", b"two\n"):
        output.add(line)

    assert output.all() == b"one\ntwo\n"
    assert output.last_lines() == ["one", "two"]
