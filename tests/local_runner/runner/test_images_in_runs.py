"""Images as nodes meet them: built, failing, with code, data, tools and a docker socket."""

import uuid
from pathlib import Path

import pytest

import conducto as co
from conducto.data import pipeline as pipeline_data
from conducto.errors import DefinitionError
from conducto_core.run.model.params import ImageLogParams, ListParams
from conducto_core.run.model.records import ImageState
from conducto_core.run.model.requests import Action
from conducto_core.run.model.states import Cause, State
from support.containers import BUSYBOX as IMAGE
from support.containers import clean_runner, remove_images
from support.stand_ins import call, ensure

pytestmark = pytest.mark.docker

PYTHON = "conducto-test/debian"
#: A user that the host does not know.
STRANGER = ["--user=12345:12345"]


@pytest.fixture(scope="module")
def profile():
    """A profile for this file, by which its images are found at the end."""
    name = f"test-images-{uuid.uuid4().hex[:8]}"
    yield name
    remove_images(name)


@pytest.fixture
async def local(tmp_path, profile):
    async with clean_runner(tmp_path / "home", profile=profile) as runner:
        yield runner


def nodes(kind=co.Parallel, image=IMAGE, **children):
    root = kind(image=image, cpu=0.5, mem=0.2)
    for name, child in children.items():
        root[name] = co.Exec(child) if isinstance(child, str) else child
    return root


def broken(why="exit 3"):
    """An image whose build fails; never the same twice, for nothing failed is kept."""
    return co.Image(dockerfile_text=f"FROM {IMAGE}\nRUN echo {uuid.uuid4().hex}; {why}\n")


async def test_build_steps_are_shown_with_their_times(local):
    text = f"FROM {IMAGE}\nRUN echo {uuid.uuid4().hex}\nRUN echo so sad; exit 3\n"
    image = co.Image(dockerfile_text=text, name="made")

    run = await local.run(nodes(a=co.Exec("true", image=image)))
    steps = (await local.pipelines.read_image_log(ImageLogParams(id=run.id, image="made"))).steps

    assert [step.name for step in steps if step.within is None] == ["queued", "building"]
    # BuildKit may list FROM twice: once more under the name that a build at the same time gave it.
    base, first, second = [
        step
        for step in steps
        if step.within == "building" and step.name.startswith(("[1/3]", "[2/3]", "[3/3]"))
    ]
    assert base.name.startswith("[1/3] FROM")
    assert first.error is None
    assert first.started <= first.ended <= second.ended
    assert "so sad" in second.name
    assert second.error


async def test_a_failing_build_fails_only_the_nodes_that_need_it(local):
    root = nodes(a=co.Exec("true", image=broken("echo so sad; exit 3")), b="true")

    run = await local.run(root)

    assert await run.states() == {"/": "error", "/a": "error", "/b": "done"}
    (attempt,) = await run.attempts("/a")
    assert (attempt.cause, attempt.exit_code) == (Cause.IMAGE, None)
    assert attempt.message.splitlines()[-1] == "so sad"


async def test_the_whole_build_is_in_the_log_of_its_image(local):
    root = nodes(a=co.Exec("true", image=broken("seq 1000 1100; exit 3")))

    run = await local.run(root)

    (image,) = [i for i in (await run.summary()).images if i.state is ImageState.ERROR]
    log = (await local.pipelines.read_image_log(ImageLogParams(id=run.id, image=image.name))).text
    assert "\n1000\n1001\n" in log
    assert image.error == (await run.attempts("/a"))[0].message


async def test_an_image_that_failed_is_not_built_again_in_the_same_run(local):
    text = f"FROM {IMAGE}\nRUN echo {uuid.uuid4().hex}; exit 3\n"
    root = nodes(co.Serial, co.Image(dockerfile_text=text, name="made"), a="true", b="true")
    root.stop_on_error = False

    run = await local.run(root)

    steps = (await local.pipelines.read_image_log(ImageLogParams(id=run.id, image="made"))).steps
    (first,), (second,) = await run.attempts("/a"), await run.attempts("/b")
    assert first.cause is second.cause is Cause.IMAGE
    assert second.message == first.message
    assert steps[0].started < second.queued


@pytest.mark.parametrize("action", [Action.REBUILD, Action.RESET])
async def test_a_node_runs_after_its_failed_build_was_mended(local, tmp_path, action):
    dockerfile = tmp_path / "code" / "Dockerfile"
    dockerfile.parent.mkdir()
    dockerfile.write_text(f"FROM {IMAGE}\nRUN exit 3\n")
    run = await local.run(nodes(a=co.Exec("echo mended", image=co.Image(dockerfile=dockerfile))))

    dockerfile.write_text(f"FROM {IMAGE}\nRUN true\n")
    await run.control(action, "/a")
    await run.settled()

    assert [str(attempt.state) for attempt in await run.attempts("/a")] == ["error", "done"]
    assert await run.output("/a") == b"mended\n"


async def test_missing_image_fails_with_the_checks_to_make(local):
    run = await local.run(nodes(a=co.Exec("true", image="conducto-test/no-such:1")))

    (attempt,) = await run.attempts("/a")
    assert attempt.cause is Cause.IMAGE
    assert "'conducto-test/no-such:1'" in attempt.message
    assert "Check its spelling" in attempt.message


@pytest.mark.parametrize("removed", ["Dockerfile", "code"])
async def test_files_that_vanish_before_the_build_are_named(local, tmp_path, removed):
    (tmp_path / "code").mkdir()
    (tmp_path / "Dockerfile").write_text(f"FROM {IMAGE}\n")
    image = co.Image(dockerfile=tmp_path / "Dockerfile", copy_dir=tmp_path / "code")
    run = await local.launch(nodes(a=co.Exec("true", image=image)), run=False)

    gone = tmp_path / removed
    gone.rmdir() if removed == "code" else gone.unlink()
    await run.control(Action.RUN)
    await run.settled()

    (attempt,) = await run.attempts("/a")
    assert attempt.cause is Cause.IMAGE
    assert f"'{gone}' does not exist; check the path" in attempt.message


async def test_image_without_a_shell_is_reported(local):
    name = f"conducto-test/empty-{uuid.uuid4().hex[:8]}"
    call("POST", "/images/create", {"fromSrc": "-", "repo": name}, body=bytes(1024))
    try:
        run = await local.run(nodes(a=co.Exec("true", image=name)))
    finally:
        call("DELETE", f"/images/{name}")

    (attempt,) = await run.attempts("/a")
    assert attempt.cause is Cause.IMAGE
    assert "shell" in attempt.message


async def test_a_command_that_the_image_lacks_is_named(local):
    run = await local.run(nodes(a="no-such-command --here"))

    (attempt,) = await run.attempts("/a")
    assert (attempt.state, attempt.cause, attempt.exit_code) == (State.ERROR, Cause.EXIT_CODE, 127)
    assert b"no-such-command" in await run.output("/a", "stderr")


# Native functions.


def code_image(code: Path) -> co.Image:
    return co.Image(PYTHON, copy_dir=code, install_pip=["conducto"])


async def native(local, code):
    """Run ``/code/steps.py greet`` in an image that has the directory ``code``."""
    command = f"conducto {co.relpath(code / 'steps.py')} greet --name=you"
    return await local.run(nodes(a=co.Exec(command), image=code_image(code)))


@pytest.fixture
def code(tmp_path):
    ensure(["conducto-test/debian:latest"])
    folder = tmp_path / "code"
    folder.mkdir()
    return folder


async def test_a_function_is_called_in_the_container(local, code):
    (code / "steps.py").write_text("def greet(name: str) -> None:\n    print(f'hello {name}')\n")

    run = await native(local, code)

    assert await run.output("/a") == b"hello you\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", b"greet"),
        (None, b"steps.py"),
        ("import no_such_module_at_all\n", b"no_such_module_at_all"),
        ("def greet(", b"steps.py"),
    ],
    ids=["function", "file", "import", "syntax"],
)
async def test_a_function_that_cannot_be_called_there_says_why(local, code, text, message):
    (code / "other.py").touch()
    if text is not None:
        (code / "steps.py").write_text(text)

    run = await native(local, code)

    (attempt,) = await run.attempts("/a")
    assert attempt.cause is Cause.EXIT_CODE
    assert message in await run.output("/a", "stderr")


async def test_an_image_that_calls_a_function_has_conducto_without_being_asked(local, code):
    (code / "steps.py").write_text("def greet(name: str) -> None:\n    print('hello', name)\n")
    command = f"conducto {co.relpath(code / 'steps.py')} greet --name=you"
    image = co.Image(PYTHON, copy_dir=code)

    run = await local.run(nodes(a=co.Exec(command), image=image))

    assert await run.output("/a") == b"hello you\n"


async def test_image_without_conducto_error_names_the_missing_parts(local):
    run = await local.run(nodes(a=co.Exec("true; conducto steps.py greet", image=co.Image(PYTHON))))

    (attempt,) = await run.attempts("/a")
    assert attempt.exit_code == 127
    assert b"conducto" in await run.output("/a", "stderr")


async def test_local_code_that_the_image_does_not_hold_fails_with_the_remedy(local):
    run = await local.run(nodes(a=co.Exec(f"cat {co.relpath(__file__)}")))

    (attempt,) = await run.attempts("/a")
    assert attempt.cause is Cause.IMAGE
    assert attempt.message.startswith("/a: the command uses ")
    assert "copy_dir=" in attempt.message


# Data.


async def test_containers_at_the_same_time_share_the_data_of_their_pipeline(local):
    say = "echo here >/conducto/data/pipeline/{}; "
    wait = "until cat /conducto/data/pipeline/{}; do sleep 0.05; done 2>/dev/null"
    root = nodes(
        a=say.format("a") + wait.format("b"),
        b=co.Exec(say.format("b") + wait.format("a"), docker_run_args=STRANGER),
    )
    root.max_time = 20

    run = await local.run(root)

    assert await run.output("/a") == await run.output("/b") == b"here\n"
    names = {(await run.attempts(path))[0].container for path in ("/a", "/b")}
    assert len(names) == 2


async def test_files_of_an_unknown_user_can_be_read_and_deleted_by_others(local):
    data = "/conducto/data"
    put = f"id -u; mkdir {data}/pipeline/d; echo mine >{data}/pipeline/d/x; touch {data}/user/y"
    root = nodes(
        co.Serial,
        a=co.Exec(put, docker_run_args=STRANGER),
        b=f"cat {data}/pipeline/d/x; rm -r {data}/pipeline/d {data}/user/y; ls {data}/pipeline",
    )

    run = await local.run(root)

    assert await run.output("/a") == b"12345\n"
    assert await run.output("/b") == b"mine\n"
    assert (await run.summary()).state is State.DONE


async def test_user_data_stays_for_the_next_pipeline(local):
    await local.run(nodes(a="echo kept >/conducto/data/user/kept; touch /conducto/data/pipeline/x"))

    run = await local.run(nodes(a="cat /conducto/data/user/kept; ls /conducto/data/pipeline"))

    assert await run.output("/a") == b"kept\n"


TOOLS = """
echo '["a", 1]' | conducto-data-pipeline puts made/x
conducto-data-pipeline list
conducto-data-pipeline gets made/x
conducto-data-pipeline exists made/y
conducto-data-user exists made/x
python3 -c 'import conducto as co; print(co.data.pipeline.gets("made/x").decode(), end="")'
python3 -c 'import conducto as co; co.data.user.puts("u", b"from python")'
"""


async def test_data_tools_work_in_a_container_and_outside_on_the_same_data(
    local, monkeypatch, code
):
    image = co.Image(PYTHON, install_pip=["conducto"])
    monkeypatch.setenv("CONDUCTO_BASE_DIR", str(local.home.base))
    monkeypatch.setenv("CONDUCTO_PROFILE", local.home.profile)

    run = await local.run(nodes(a=co.Exec(TOOLS), image=image))

    monkeypatch.setenv("CONDUCTO_PIPELINE_ID", run.id)
    assert await run.output("/a", "stderr") == b""
    assert (await run.output("/a")).decode().splitlines() == [
        '["made"]',
        '["a", 1]',
        "false",
        "false",
        '["a", 1]',
    ]
    assert pipeline_data.gets("made/x") == b'["a", 1]\n'
    assert co.data.user.gets("u") == b"from python"


async def test_misspelled_data_command_fails_with_an_error(local, code):
    image = co.Image(PYTHON, install_pip=["conducto"])
    run = await local.run(nodes(a=co.Exec("conducto-data-pipeline gets nope"), image=image))

    (attempt,) = await run.attempts("/a")
    assert attempt.exit_code == 1
    assert b"nope" in await run.output("/a", "stderr")


# Container options of the user's choice.


async def test_a_node_that_requires_docker_reaches_the_engine(local, code):
    ping = (
        "import socket; s = socket.socket(socket.AF_UNIX); s.connect('/var/run/docker.sock');"
        "s.send(b'GET /_ping HTTP/1.0\\r\\n\\r\\n'); print(s.recv(4096).split(b'\\r\\n')[0])"
    )
    command = f'python3 -c "{ping}"'
    root = nodes(a=co.Exec(command, requires_docker=True), b=co.Exec(command), image=PYTHON)

    run = await local.run(root)

    assert b"200 OK" in await run.output("/a")
    assert await run.states() == {"/": "error", "/a": "done", "/b": "error"}


async def test_run_args_reach_the_container(local):
    given = ["--hostname=somewhere", "--cap-drop", "ALL", "-e", "FROM_ARGS=yes", "--tmpfs=/scratch"]
    command = "hostname; echo $FROM_ARGS; grep -c ' /scratch ' /proc/mounts"

    run = await local.run(nodes(a=co.Exec(command, docker_run_args=given)))

    assert await run.output("/a") == b"somewhere\nyes\n1\n"


@pytest.mark.parametrize("given", ["--frobnicate=1", "--pid=host", "--env NAME"])
async def test_a_run_arg_that_is_never_granted_is_refused_at_launch(local, given):
    with pytest.raises(DefinitionError, match=rf"^/a: docker_run_args: .*{given[:5]}"):
        await local.launch(nodes(a=co.Exec("true", docker_run_args=given)))

    assert (await local.pipelines.list_pipelines(ListParams())).pipelines == ()


async def test_a_volume_beside_the_script_is_found_wherever_the_agent_is(local, tmp_path):
    (tmp_path / "beside").mkdir()
    (tmp_path / "beside/text").write_text("there")
    node = co.Exec("cat /seen/text", docker_run_args="-v ./beside:/seen:ro")
    node.file = str(tmp_path / "pipeline.py")

    run = await local.run(nodes(a=node))

    assert await run.output("/a") == b"there"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("--cap-add=NONE_SUCH", "NONE_SUCH"),
        ("--user=nobody-here", "nobody-here"),
        ("--volume=relative/path:/x:zz", "zz"),
    ],
)
async def test_a_wrong_run_arg_fails_the_node_with_its_text(local, given, message):
    run = await local.run(nodes(a=co.Exec("true", docker_run_args=[given]), b="true"))

    (attempt,) = await run.attempts("/a")
    assert attempt.cause is Cause.IMAGE
    assert message in attempt.message
    assert await run.states() == {"/": "error", "/a": "error", "/b": "done"}
