"""The cloud from the user's side: log in, launch a script, look, order; as on this machine."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from conducto_core.run.model.params import ImageLogParams
from support.running import Person, Run, person_at
from support.stand_ins import ensure

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conducto_core.run.model.responses import ImageStep
    from support.cloud.emulated import Cloud

pytestmark = [pytest.mark.docker, pytest.mark.cloud]

ROOT = Path(__file__).resolve().parents[3]
HELLO = ROOT / "examples" / "hello" / "pipeline.py"
BUILT = """
import os
import conducto as co

def greet(name: str):
    here = os.path.dirname(os.path.abspath(__file__))
    print("hello", name, open(os.path.join(here, "words.txt")).read())

def pipeline() -> co.Serial:
    image = co.Image(dockerfile="Dockerfile", context=".", copy_dir=".", install_pip=["conducto"])
    with co.Serial(image=image, stop_on_error=False) as root:
        root["native"] = co.Exec(greet, "world")
        root["shell"] = co.Exec("cat words.txt; pwd; echo oops >&2; exit 3")
    return root

if __name__ == "__main__":
    co.main(default=pipeline)
"""

LAZY = """
import conducto as co

def made() -> co.Serial:
    root = co.Serial()
    root["same"] = co.Exec("echo same image")
    image = co.Image("python:3.11-slim", install_pip=["conducto"], name="own")
    root["own"] = co.Exec("echo own image", image=image)
    return root

def pipeline() -> co.Serial:
    image = co.Image("python:3.11-slim", copy_dir=".", install_pip=["conducto"])
    root = co.Serial(image=image)
    root["lazy"] = co.Lazy(made)
    return root

if __name__ == "__main__":
    co.main(default=pipeline)
"""
MENDED = """
import conducto as co

def pipeline() -> co.Serial:
    with co.Serial(image=co.Image(dockerfile="Dockerfile", context=".")) as root:
        root["a"] = co.Exec("cat /made")
    return root

if __name__ == "__main__":
    co.main(default=pipeline)
"""


@pytest.fixture
def person(me: Cloud, tmp_path: Path) -> Iterator[Person]:
    """Somebody at a terminal who has logged in."""
    ensure(["python:3.11-slim", f"python:{sys.version_info.major}.{sys.version_info.minor}-slim"])
    home = tmp_path / "home"
    home.mkdir()
    with person_at(home) as made:
        logged_in = made.conducto(
            "login", "--url", me.emulator.url, "--token", "-", given=me.token + "\n"
        )
        assert logged_in.returncode == 0, logged_in.stderr
        yield made


def told(run: Run) -> dict[str, Any]:
    """Return the facts that must be equal on all targets: exit code, states, attempts, output."""
    return {"code": run.code, **{path: told_of(run, path) for path in run.nodes}}


def told_of(run: Run, path: str) -> tuple[Any, ...]:
    node = run.nodes[path]
    attempts = [(a["number"], a["state"], a["exit_code"], a["command"]) for a in node["attempts"]]
    printed = [run.output(path, stream) for stream in ("stdout", "stderr") if attempts]
    return node["state"], attempts, printed


def steps_of(me: Cloud, pipeline_id: str) -> tuple[ImageStep, ...]:
    """Return the steps of the build of a pipeline's only image."""
    (image,) = me.client.images(pipeline_id)
    return me.client.image_log_page(ImageLogParams(id=pipeline_id, image=image.name)).steps


def test_hello_runs_in_the_cloud_as_on_this_machine(person: Person) -> None:
    there = person.run(HELLO, side="cloud")
    here = person.run(HELLO)

    assert there.code == 0, there.stdout + there.stderr
    assert told(there) == told(here)
    listed = {each["id"]: each["mode"] for each in person.read("list")}
    assert listed == {here.id: "local", there.id: "cloud"}


def test_an_image_with_code_is_the_same_in_the_cloud(
    person: Person, me: Cloud, tmp_path: Path
) -> None:
    code = tmp_path / "code"
    code.mkdir()
    script = code / "pipeline.py"
    script.write_text(BUILT)
    (code / "words.txt").write_text("from the code")
    (code / ".env").write_text("PASSWORD=x")
    (code / "Dockerfile").write_text("FROM python:3.11-slim\n")

    there = person.run(script, side="cloud")
    here = person.run(script)

    assert there.code == 1, there.stdout + there.stderr
    assert told(there) == told(here)
    assert there.output("/native") == "hello world from the code\n"
    assert (there.output("/shell"), there.output("/shell", "stderr")) == (
        "from the code/mnt/conducto\n",
        "oops\n",
    )
    (image,) = person.read("images", there.id)
    assert "==> copying" in person.ask("logs", there.id, "--image", image["name"]).stdout
    steps = steps_of(me, there.id)
    states = ["queued", "building", "installing", "copying", "extending"]
    assert [step.name for step in steps if step.within is None] == states
    assert any("COPY" in step.name for step in steps if step.within == "copying")
    assert all(step.ended is not None and step.error is None for step in steps)
    assert "warning: image" in there.stderr
    assert "'.env'" in there.stderr


@pytest.mark.long
def test_a_generated_tree_has_images_of_the_launch_and_its_own(
    person: Person, tmp_path: Path
) -> None:
    code = tmp_path / "code"
    code.mkdir()
    (code / "pipeline.py").write_text(LAZY)

    there = person.run(code / "pipeline.py", side="cloud")
    here = person.run(code / "pipeline.py")

    assert there.code == 0, there.stdout + there.stderr
    assert told(there) == told(here)
    assert there.output("/lazy/Execute/same") == "same image\n"
    assert there.output("/lazy/Execute/own") == "own image\n"


@pytest.mark.parametrize("nodes", [pytest.param("/", marks=pytest.mark.long), "--failed"])
def test_a_build_that_fails_is_mended_by_a_rebuild(
    person: Person, me: Cloud, tmp_path: Path, nodes: str
) -> None:
    code = tmp_path / "code"
    code.mkdir()
    script = code / "pipeline.py"
    script.write_text(MENDED)
    (code / "Dockerfile").write_text("FROM python:3.11-slim\nRUN echo no such thing; exit 9\n")

    run = person.run(script, side="cloud")
    failed = steps_of(me, run.id)
    (code / "Dockerfile").write_text("FROM python:3.11-slim\nRUN echo rebuilt >/made\n")
    rebuilt = person.conducto("rebuild", run.id, nodes, "--watch")

    assert run.code == 1, run.stdout + run.stderr
    assert run.attempts("/a")[0]["cause"] == "image"
    assert "no such thing" in run.stdout
    assert rebuilt.returncode == 0, rebuilt.stdout + rebuilt.stderr
    assert person.ask("logs", run.id, "/a").stdout == "rebuilt\n"
    assert [step.name for step in failed if step.within is None] == ["queued", "building"]
    assert failed[-1].name == "[2/2] RUN echo no such thing; exit 9"
    assert "exit code: 9" in str(failed[-1].error)
    names = [step.name for step in steps_of(me, run.id)]
    assert "[2/2] RUN echo rebuilt >/made" in names  # without steps of the previous build
    assert failed[-1].name not in names


@pytest.mark.long  # tests/deploy builds and pushes an image, too
def test_images_are_built_on_this_machine_where_that_is_asked_for(
    person: Person, me: Cloud, tmp_path: Path
) -> None:
    code = tmp_path / "code"
    code.mkdir()
    script = code / "pipeline.py"
    script.write_text(BUILT)
    (code / "words.txt").write_text("from here")
    (code / "Dockerfile").write_text("FROM python:3.11-slim\n")

    first = person.run(script, "--build", "local", side="cloud")
    again = person.run(script, "--build=local", side="cloud")
    bucket = me.aws("s3")
    (name,) = (each["Name"] for each in bucket.list_buckets()["Buckets"])
    brought = bucket.list_objects_v2(Bucket=name, Prefix=f"contexts/{me.org}/")["KeyCount"]
    there = person.run(script, side="cloud")

    assert brought == 0
    assert first.code == 1, first.stdout + first.stderr
    assert first.output("/native") == "hello world from here\n"
    said = [line for line in first.stderr.splitlines() if "image" in line]
    assert [line.rpartition(": ")[2] for line in said] == [
        "building",
        "installing",
        "copying",
        "extending",
        "done",
    ]
    assert "building" not in again.stderr
    images = [person.read("images", run.id)[0] for run in (first, again, there)]
    assert len({image["reference"] for image in images}) == 1  # the cloud's own has the same name
    log = person.ask("logs", first.id, "--image", images[0]["name"]).stdout
    assert "==> copying" in log


def test_a_build_on_this_machine_that_fails_launches_nothing(
    person: Person, tmp_path: Path
) -> None:
    code = tmp_path / "code"
    code.mkdir()
    script = code / "pipeline.py"
    script.write_text(MENDED)
    (code / "Dockerfile").write_text("FROM python:3.11-slim\nRUN echo no such thing; exit 9\n")
    words = [str(script), "--cloud", "--run", "--build", "local"]

    failed = person.python(*words)
    wrong = person.python(*words[:-1], "elsewhere")
    without = person.python(*words, PATH=str(tmp_path))

    assert (failed.returncode, wrong.returncode, without.returncode) == (1, 2, 2)
    assert "it was not built on this machine; nothing was launched" in failed.stderr
    assert "no such thing" in failed.stderr
    assert "--build must be one of local, cloud" in wrong.stderr
    assert "docker client, which is not installed on this machine" in without.stderr
    assert person.read("list", "--cloud") == []


def test_actions_reach_a_pipeline_on_either_target(person: Person) -> None:
    run = person.run(HELLO, side="cloud")

    reset = person.conducto("reset", run.id, "/", "--watch")
    lines = [json.loads(line) for line in person.ask("logs", "@last", "--json").stdout.splitlines()]
    nodes = person.read("show", run.id)["nodes"]
    started = {node["path"]: node["attempts"][-1]["started"] for node in nodes if node["attempts"]}
    archived = person.ask("archive", run.id)

    assert reset.returncode == 0, reset.stdout + reset.stderr
    assert lines == sorted(lines, key=lambda line: line["time"])
    assert all(line["time"] != started[line["path"]] for line in lines)  # they were recorded
    assert "archived" in archived.stdout
    assert run.id not in person.ask("list", "--cloud").stdout
    assert run.id in person.ask("list", "--cloud", "--all").stdout

    deleted = person.ask("delete", run.id, "--yes")

    assert deleted.stdout == f"deleted {run.id}\n"
    assert run.id not in person.ask("list", "--cloud", "--all").stdout


def test_unauthorised_user_is_shown_the_remedy(person: Person, me: Cloud, tmp_path: Path) -> None:
    assert f"me of {me.org}" in person.ask("whoami").stdout
    (known,) = me.admin(kind="list_tokens")["tokens"]
    me.admin(kind="revoke_token", token=known["id"])

    revoked = person.conducto("list", "--cloud")
    person.ask("logout")
    logged_out = person.conducto("list", "--cloud")

    assert (revoked.returncode, logged_out.returncode) == (1, 2)
    assert "was revoked" in revoked.stderr
    assert "log in again: conducto login --url" in revoked.stderr
    assert "not logged in to a cloud installation; log in: conducto login" in logged_out.stderr
