"""Images in the cloud: the times of builds, their progress, and their effect on nodes."""

from __future__ import annotations

import asyncio
import io
import json
import tarfile
from typing import TYPE_CHECKING, Any

import pytest

from chalicelib.api.dispatch import RULES
from chalicelib.errors import AccessDeniedError
from chalicelib.images.builds import LOGIN_RENEWAL, context_key, known_sources
from chalicelib.people.port import Identity
from conducto.errors import DefinitionError
from conducto_core.api.cloud_operations import ContextsWanted, OwnBuilds
from conducto_core.api.problems import problem_of
from conducto_core.billing.rules import BillingPlan
from conducto_core.errors import NotFoundError, RefusedError
from conducto_core.images.model import CloneSource, ImageSources, ImageSpec
from conducto_core.installation.names import BUILD_DAYS, FRESH_DAYS, IMAGE_DAYS, SOURCE_DAYS
from conducto_core.run.model.params import ImageLogParams, PipelineParams
from conducto_core.run.model.records import ImageRecord, ImageState
from conducto_core.run.model.requests import LaunchRequest
from conducto_core.workers.rules.start_failures import DENIED_REMEDY
from support.cloud.world import LARGE, ME, World
from support.trees import form, leaf, serial

if TYPE_CHECKING:
    from chalicelib.images.port import BuildRequest

CODE = "c" * 64
OWN: dict[str, dict[str, Any]] = {"own": {"image": "base:1", "copy_dir": "/home/me/code"}}
SOURCES = {"own": ImageSources(code=CODE)}
TREE = serial("a", image_name="own")


class Builds:
    """A world, one pipeline with an image that is to be built, and its builds."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.told: list[str] = []
        world.blobs.put(context_key(ME.org, CODE), b"packed")

    def launch(self, *, run: bool = True, sources: Any = None) -> str:
        given = SOURCES if sources is None else sources
        return self.world.launch(TREE, images=OWN, run=run, sources=given)

    def image(self, pipeline_id: str) -> ImageRecord:
        (image,) = self.world.get(pipeline_id).images
        return image

    def request(self, number: int = 1) -> BuildRequest:
        return self.world.builder.requests[f"images:{number}"]

    def inputs(self, number: int = 1) -> dict[str, str]:
        """Return the variables of the file that a build fetches first."""
        text = self.file("inputs.env", number)
        return dict(line.split("=", 1) for line in text.splitlines())

    def file(self, name: str, number: int = 1) -> str:
        found = self.world.blobs.get(f"builds/{ME.org}/{self.request(number).tag}/{name}")
        assert found is not None
        return found.decode()

    def says(self, text: str, number: int = 1) -> None:
        """The build prints, and runs."""
        tag = self.request(number).tag
        self.world.builder.statuses[f"images:{number}"] = "running"
        self.world.blobs.put(f"builds/{ME.org}/{tag}/log", text.encode())
        self.world.now += 3

    def tells(self, *lines: str, number: int = 1) -> None:
        """The build tells of its steps, a second after the other."""
        tag = self.request(number).tag
        self.told += [f"{self.world.now + n} {line}\n" for n, line in enumerate(lines)]
        self.world.blobs.put(f"builds/{ME.org}/{tag}/steps", "".join(self.told).encode())
        self.world.builder.statuses[f"images:{number}"] = "running"
        self.world.now += len(lines)

    def steps(self, pipeline_id: str) -> list[tuple[str, float | None, str | None]]:
        """Return name, seconds and error of the steps that the API answers."""
        asked = ImageLogParams(id=pipeline_id, image="own")
        log = asyncio.run(self.world.pipelines().read_image_log(asked))
        return [
            (
                step.name,
                None if step.ended is None or step.started is None else step.ended - step.started,
                step.error,
            )
            for step in log.steps
        ]

    def succeeds(self, number: int = 1) -> None:
        tag = self.request(number).tag
        said = {"reference": "evil:1", "shell": "/bin/ash", "workdir": "/mnt/conducto"}
        self.world.blobs.put(f"builds/{ME.org}/{tag}/result.json", json.dumps(said).encode())
        self.world.builder.images.add((ME.org, tag))
        self.world.builder.statuses[f"images:{number}"] = "succeeded"
        self.world.now += 3

    def fails(self, text: str = "", status: Any = "failed", number: int = 1) -> None:
        self.says(text, number)
        self.world.builder.statuses[f"images:{number}"] = status

    def states(self, pipeline_id: str) -> str:
        return self.world.states(pipeline_id)["/a"]


@pytest.fixture
def builds() -> Builds:
    return Builds(World())


def test_an_image_is_built_when_an_exec_needs_it_and_not_before(builds: Builds) -> None:
    pipeline_id = builds.launch(run=False)
    assert builds.world.builder.requests == {}
    assert builds.image(pipeline_id).state is ImageState.PENDING

    builds.world.control(pipeline_id, "run")

    order = builds.request()
    assert order.pipeline_id == pipeline_id
    assert set(order.urls) == {"INPUTS_URL", "LOG_URL"}
    named = {"RECIPE_URL", "LOG_URL", "LOGIN_URL", "STEPS_URL", "RESULT_URL", f"CONTEXT_{CODE}"}
    assert set(builds.inputs()) == named
    assert builds.image(pipeline_id).state is ImageState.QUEUED
    assert builds.world.fleet.tasks == {}


def test_login_of_a_build_is_replaced_before_it_expires(builds: Builds) -> None:
    builds.launch()
    first = builds.file("login")
    assert first.startswith(f"{ME.org}/build-")

    builds.says("==> pulling\n")
    builds.world.minute()
    assert builds.file("login") == first

    builds.world.now += LOGIN_RENEWAL + 1
    builds.world.minute()

    assert builds.file("login") != first


def test_build_whose_urls_expired_in_the_queue_is_started_again(builds: Builds) -> None:
    pipeline_id = builds.launch()
    builds.world.builder.statuses["images:1"] = "queued"
    inputs = builds.world.blobs.put_at(f"builds/{ME.org}/{builds.request().tag}/inputs.env")
    builds.world.now += LOGIN_RENEWAL + 1
    builds.world.minute()
    again = builds.world.blobs.put_at(f"builds/{ME.org}/{builds.request().tag}/inputs.env")
    assert again == builds.world.now != inputs  # with new URLs

    builds.world.builder.statuses["images:1"] = "failed"
    builds.world.minute()

    assert builds.image(pipeline_id).state is ImageState.QUEUED
    assert builds.request(2).tag == builds.request(1).tag
    builds.world.builder.statuses["images:2"] = "failed"
    builds.world.minute()
    assert builds.image(pipeline_id).state is ImageState.ERROR


def test_image_of_a_launch_stays_for_a_month(builds: Builds) -> None:
    period = BUILD_DAYS * 86_400
    builds.world.now = period * (builds.world.now // period + 1)
    builds.launch()
    builds.succeeds()
    builds.world.now += period - 60
    assert builds.image(builds.launch()).state is ImageState.DONE
    assert IMAGE_DAYS - BUILD_DAYS >= 30

    builds.world.now += 60

    assert builds.image(builds.launch()).state is ImageState.QUEUED
    assert builds.request(2).tag != builds.request(1).tag


def test_worker_starts_once_its_image_is_built(builds: Builds) -> None:
    pipeline_id = builds.launch()

    builds.says("==> pulling\n==> copying\nStep 1\n")
    assert builds.image(pipeline_id).state is ImageState.COPYING
    builds.succeeds()
    image = builds.image(pipeline_id)
    builds.world.run_out()

    assert image.state is ImageState.DONE
    assert image.reference == f"registry.invalid/images/{ME.org}:{builds.request().tag}"
    (task,) = builds.world.fleet.tasks.values()
    assert task.image == image.reference
    (hand,) = builds.world.hands.values()
    assert (hand.instructions.shell, hand.instructions.workdir) == ("/bin/ash", "/mnt/conducto")
    assert builds.states(pipeline_id) == "done"
    (attempt,) = builds.world.attempts(pipeline_id, "/a")
    assert attempt.image_ready == image.ended
    assert attempt.admitted == image.ended


def test_builds_progress_without_readers(builds: Builds) -> None:
    pipeline_id = builds.launch()
    builds.succeeds()

    builds.world.minute()
    builds.world.run_out()

    assert builds.states(pipeline_id) == "done"


def test_build_without_capacity_is_queued_and_started_later(builds: Builds) -> None:
    builds.world.builder.full = True
    pipeline_id = builds.launch()
    builds.world.minute()

    assert builds.world.builder.requests == {}
    assert builds.image(pipeline_id).state is ImageState.QUEUED

    builds.world.builder.full = False
    builds.world.minute()
    builds.succeeds()
    builds.world.minute()
    builds.world.run_out()

    assert builds.states(pipeline_id) == "done"


def _deny_logins(builds: Builds) -> list[bool]:
    """Have AWS deny the push role until something is in the returned list."""
    login, allowed = builds.world.builder.login, list[bool]()

    def deny(org: str, session: str) -> Any:
        if not allowed:
            raise AccessDeniedError("not authorized to perform: sts:AssumeRole on resource: push")
        return login(org, session)

    builds.world.builder.login = deny  # type: ignore[method-assign]
    return allowed


def test_denied_push_role_is_shown_as_the_reason_a_node_waits(builds: Builds) -> None:
    allowed = _deny_logins(builds)
    pipeline = builds.launch()
    for _ in range(3):
        waits = str(builds.world.nodes(pipeline)["/a"].waits_for)
        assert "AWS reported: not authorized to perform: sts:AssumeRole" in waits
        assert DENIED_REMEDY in waits
        builds.world.minute()
    assert builds.world.builder.requests == {}

    allowed.append(True)
    builds.world.minute()
    assert builds.request()
    assert builds.image(pipeline).error is None


def test_denied_push_role_refuses_builds_of_ones_own_with_a_remedy(builds: Builds) -> None:
    _deny_logins(builds)
    asked = LaunchRequest(tree=form(TREE, OWN), sources=SOURCES)
    with pytest.raises(AccessDeniedError, match="sts:AssumeRole") as denied:
        asyncio.run(builds.world.pipelines().own_builds(asked))
    problem = problem_of(denied.value, RULES)
    assert (problem.status, problem.remedy) == (503, DENIED_REMEDY)


def test_repeated_build_event_changes_nothing(builds: Builds) -> None:
    pipeline_id = builds.launch()
    builds.succeeds()

    for _ in range(2):
        builds.world.reconciler().build_changed(pipeline_id)
    builds.world.reconciler().build_changed("nobody")

    assert builds.image(pipeline_id).state is ImageState.DONE


def test_a_second_launch_of_the_same_builds_nothing(builds: Builds) -> None:
    first = builds.launch()
    second = builds.launch()  # while it is being built: joins
    builds.succeeds()
    third = builds.launch()

    assert len(builds.world.builder.requests) == 1
    assert [builds.image(each).state for each in (first, second, third)] == [ImageState.DONE] * 3


def test_an_image_that_the_registry_forgot_is_built_again(builds: Builds) -> None:
    builds.launch()
    builds.succeeds()
    builds.world.builder.images.clear()

    builds.launch()

    assert len(builds.world.builder.requests) == 2


def test_a_failed_build_fails_its_nodes_with_the_last_lines(builds: Builds) -> None:
    pipeline_id = builds.launch()
    builds.fails("==> building\n" + "".join(f"line {n}\n" for n in range(100)))

    image = builds.image(pipeline_id)

    (attempt,) = builds.world.attempts(pipeline_id, "/a")
    assert (str(attempt.state), str(attempt.cause)) == ("error", "image")
    assert image.error == attempt.message
    assert attempt.message is not None
    lines = attempt.message.splitlines()
    assert lines[0] == "image 'own': its build failed"
    assert lines[1:] == [f"  line {n}" for n in range(80, 100)]


def test_upload_with_wrong_content_is_deleted_and_uploaded_again(builds: Builds) -> None:
    pipelines = builds.world.pipelines()
    wanted = ContextsWanted(contexts=(CODE,))
    pipeline_id = builds.launch()
    assert not asyncio.run(pipelines.upload_contexts(wanted)).missing

    builds.fails(f"conducto: context {CODE} has the wrong content and was deleted; launch again\n")

    assert "launch again" in str(builds.image(pipeline_id).error)
    assert set(asyncio.run(pipelines.upload_contexts(wanted)).missing) == {CODE}


@pytest.mark.parametrize(
    ("status", "words"), [("timed_out", "more than 60 minutes"), ("stopped", "was stopped")]
)
def test_build_that_does_not_end_by_itself_is_reported(
    builds: Builds, status: str, words: str
) -> None:
    pipeline_id = builds.launch()
    builds.fails(status=status)

    assert words in str(builds.image(pipeline_id).error)


def test_reset_after_a_failed_build_builds_again(builds: Builds) -> None:
    pipeline_id = builds.launch()
    builds.fails("no space\n")
    builds.image(pipeline_id)

    builds.world.control(pipeline_id, "reset", "/a")
    assert builds.image(pipeline_id).error is None
    builds.succeeds(2)
    builds.image(pipeline_id)
    builds.world.run_out()

    assert builds.states(pipeline_id) == "done"


def test_a_build_whose_start_was_lost_is_started_by_the_minute_rule(builds: Builds) -> None:
    builds.world.builder.deaf = True
    pipeline_id = builds.launch()
    assert builds.image(pipeline_id).state is ImageState.QUEUED
    builds.world.builder.deaf = False

    builds.world.minute()

    assert builds.request().pipeline_id == pipeline_id


def test_a_rebuild_makes_another_image_and_new_workers(builds: Builds) -> None:
    pipeline_id = builds.launch()
    builds.succeeds()
    builds.image(pipeline_id)
    builds.world.run_out()

    builds.world.control(pipeline_id, "rebuild", "/a")
    builds.world.serve()
    assert builds.states(pipeline_id) == "queued"
    builds.succeeds(2)
    image = builds.image(pipeline_id)
    builds.world.run_out()

    first, second = builds.world.fleet.tasks.values()
    assert first.image != second.image == image.reference
    assert builds.states(pipeline_id) == "done"


def test_rebuild_uses_the_files_read_again(builds: Builds) -> None:
    pipeline_id = builds.launch()
    builds.succeeds()
    builds.image(pipeline_id)
    builds.world.run_out()
    newer = "d" * 64
    builds.world.blobs.put(context_key(ME.org, newer), b"packed")

    sources = {"own": ImageSources(code=newer)}
    builds.world.control(pipeline_id, "rebuild", "/a", sources=sources)

    assert f"CONTEXT_{newer}" in builds.inputs(2)


def test_organisations_share_neither_images_nor_directories() -> None:
    world = World()
    builds = Builds(world)
    world.orgs.set_plan("other", LARGE)
    builds.launch()
    builds.succeeds()
    stranger = Identity("other", "bob", ME.permissions)
    request = asyncio.run(
        world.pipelines().get_definition(
            PipelineParams(id=next(iter(world.store.records(ME.org)[0])).id)
        )
    )

    with pytest.raises(NotFoundError):  # the pipeline that it is copied from
        asyncio.run(world.pipelines(stranger).launch(request))
    request = request.model_copy(update={"copy_of": None})
    with pytest.raises(RefusedError, match="was not uploaded"):
        asyncio.run(world.pipelines(stranger).launch(request))
    world.blobs.put(context_key("other", CODE), b"packed")
    asyncio.run(world.pipelines(stranger).launch(request.model_copy(update={"run": True})))

    assert builds.request(1).tag != builds.request(2).tag


def test_launch_with_missing_build_contexts_is_rejected(builds: Builds) -> None:
    with pytest.raises(DefinitionError, match="'own': its files were not sent with"):
        builds.launch(sources={})
    with pytest.raises(RefusedError, match="'own': a directory that it needs was not"):
        builds.launch(sources={"own": ImageSources(code="e" * 64)})


def test_relaunch_needs_nothing_from_the_launching_machine(builds: Builds) -> None:
    pipeline_id = builds.launch()

    request = asyncio.run(builds.world.pipelines().get_definition(PipelineParams(id=pipeline_id)))

    assert request.sources == SOURCES
    asyncio.run(builds.world.pipelines().launch(request))


def test_build_log_is_read_in_chunks(builds: Builds) -> None:
    pipeline_id = builds.launch()
    builds.says("ä1\nü2\n")
    pipelines = builds.world.pipelines()

    first = asyncio.run(
        pipelines.read_image_log(ImageLogParams(id=pipeline_id, image="own", limit=6))
    )
    second = asyncio.run(
        pipelines.read_image_log(ImageLogParams(id=pipeline_id, image="own", offset=first.next))
    )

    assert first.text + second.text == "ä1\nü2\n"
    assert (second.size, second.complete) == (8, False)
    builds.succeeds()
    assert asyncio.run(
        pipelines.read_image_log(ImageLogParams(id=pipeline_id, image="own", offset=8))
    ).complete


@pytest.mark.parametrize(("offset", "text", "begins"), [(-3, "yz\n", 3), (-100, "wx\nyz\n", 0)])
def test_the_end_of_the_output_of_a_build_is_read_once(
    builds: Builds, offset: int, text: str, begins: int
) -> None:
    pipeline_id = builds.launch()
    builds.says("wx\nyz\n")

    chunk = asyncio.run(
        builds.world.pipelines().read_image_log(
            ImageLogParams(id=pipeline_id, image="own", offset=offset)
        )
    )

    assert (chunk.text, chunk.offset, chunk.next, chunk.size) == (text, begins, 6, 6)


def test_build_steps_are_shown_from_the_wait_for_a_machine_on(
    builds: Builds,
) -> None:
    pipeline_id = builds.launch()
    assert builds.steps(pipeline_id) == [("queued", None, None)]
    builds.world.now += 40

    builds.tells("==> building", "#5 [2/2] RUN make")

    assert builds.steps(pipeline_id) == [
        ("queued", 40.0, None),
        ("building", None, None),
        ("[2/2] RUN make", None, None),
    ]
    builds.tells("#5 DONE 1.0s", "==> done")
    builds.succeeds()
    assert builds.steps(pipeline_id) == [
        ("queued", 40.0, None),
        ("building", 3.0, None),
        ("[2/2] RUN make", 1.0, None),
    ]


def test_the_step_that_failed_says_why(builds: Builds) -> None:
    pipeline_id = builds.launch()
    builds.tells("==> building", "#5 [2/2] RUN make", "#5 ERROR: exit code: 2", "==> failed")
    builds.fails()

    assert builds.steps(pipeline_id)[-1] == ("[2/2] RUN make", 1.0, "exit code: 2")


def test_a_build_that_took_too_long_failed_in_the_step_that_it_was_at(builds: Builds) -> None:
    pipeline_id = builds.launch()
    builds.tells("==> building", "#5 [2/2] RUN sleep inf")
    builds.fails(status="timed_out")

    _, building, step = builds.steps(pipeline_id)

    for _, seconds, error in (building, step):
        assert seconds is not None
        assert "more than 60 minutes" in str(error)


def test_a_build_that_never_got_a_machine_failed_in_the_queue(builds: Builds) -> None:
    pipeline_id = builds.launch()
    builds.fails(status="stopped")
    builds.image(pipeline_id)

    assert builds.steps(pipeline_id) == []  # no step failed; the image says why


def test_a_rebuild_tells_its_own_steps_and_so_does_a_build_after_a_failed_one(
    builds: Builds,
) -> None:
    pipeline_id = builds.launch()
    builds.tells("==> building", "==> failed")
    builds.fails()
    builds.image(pipeline_id)

    builds.world.control(pipeline_id, "reset", "/a")
    assert builds.steps(pipeline_id) == [("queued", None, None)]
    builds.told.clear()
    builds.tells("==> copying", "==> done", number=2)
    builds.succeeds(2)
    assert [name for name, *_ in builds.steps(pipeline_id)] == ["queued", "copying"]
    builds.world.run_out()

    builds.world.control(pipeline_id, "rebuild", "/a")
    assert builds.steps(pipeline_id) == [("queued", None, None)]
    builds.told.clear()
    builds.tells("==> pulling", number=3)
    assert [name for name, *_ in builds.steps(pipeline_id)] == ["queued", "pulling"]


def test_existing_image_shows_its_build_steps_without_a_wait(
    builds: Builds,
) -> None:
    builds.launch()
    builds.tells("==> copying", "==> done")
    builds.succeeds()
    builds.world.now += 1000

    assert builds.steps(builds.launch()) == [("copying", 1.0, None)]


def test_a_password_in_the_url_of_a_clone_is_in_no_repr() -> None:
    source = CloneSource(url="https://me:pa55word@git.invalid/x", branch="main", commit="a" * 40)

    assert "pa55word" not in repr(ImageSources(clone=source))


def test_an_image_of_a_generated_tree_is_made_of_files_of_the_launch() -> None:
    own = ImageSpec(name="own", image="base:1", copy_dir="/home/me/code")
    same_files = ImageSpec(name="new", image="base:2", copy_dir="/home/me/code")
    none = ImageSpec(name="plain", image="base:2", install_pip=("numpy",))
    other = ImageSpec(name="other", image="base:2", copy_dir="/elsewhere")

    found = known_sources([same_files, none, other], {"own": own}, SOURCES)

    assert found == {"new": SOURCES["own"], "plain": ImageSources()}


def test_exhausted_plan_is_reported_before_images(builds: Builds) -> None:
    builds.world.orgs.set_plan(ME.org, BillingPlan(max_pipelines=0))

    with pytest.raises(RefusedError, match="allows 0 active pipelines"):
        builds.launch(sources={})


def test_build_contexts_are_uploaded_again_before_they_expire(
    builds: Builds,
) -> None:
    def missing() -> set[str]:
        wanted = ContextsWanted(contexts=(CODE,))
        return set(asyncio.run(builds.world.pipelines().upload_contexts(wanted)).missing)

    builds.launch(run=False)
    (recipe,) = (key for key in builds.world.blobs.names() if key.endswith("recipe.tar.gz"))
    at_first = builds.world.blobs.put_at(recipe)
    builds.world.now += (FRESH_DAYS - 1) * 86_400
    builds.launch(run=False)
    assert missing() == set()
    assert builds.world.blobs.put_at(recipe) == at_first

    builds.world.now += 86_400
    assert missing() == {CODE}
    builds.launch(run=False)

    assert builds.world.blobs.put_at(recipe) == builds.world.now
    assert SOURCE_DAYS - FRESH_DAYS >= IMAGE_DAYS


def own_builds(world: World, identity: Identity = ME) -> OwnBuilds:
    request = LaunchRequest(tree=form(TREE, OWN), sources=SOURCES)
    return asyncio.run(world.pipelines(identity).own_builds(request))


def test_client_that_builds_receives_the_recipe_and_the_registry(builds: Builds) -> None:
    builds.world.blobs.delete(context_key(ME.org, CODE))  # nothing has to be uploaded

    told = own_builds(builds.world)

    (one,) = told.builds
    assert (one.image, one.contexts) == ("own", (CODE,))
    assert one.reference.startswith(f"registry.invalid/images/{ME.org}:")
    tag = one.reference.rpartition(":")[2]
    (recipe,) = (name for name in builds.world.blobs.names() if name.endswith("recipe.tar.gz"))
    assert recipe.startswith(f"builds/{ME.org}/own/")
    assert recipe in one.recipe_url
    assert tag not in recipe
    assert told.login is not None
    assert told.login.password.startswith(f"{ME.org}/{ME.user}/")
    assert "put=" not in repr(told)
    assert told.login.password not in repr(told)


def test_member_that_builds_does_not_get_the_password_of_another(builds: Builds) -> None:
    images = {"own": {"image": "base:1", "copy_url": "https://git.invalid/a/b"}}
    tree = form(TREE, images)

    def told(identity: Identity, password: str) -> str:
        url = f"https://x:{password}@git.invalid/a/b"
        clone = CloneSource(url=url, branch="main", commit="a" * 40)
        request = LaunchRequest(tree=tree, sources={"own": ImageSources(clone=clone)})
        pipelines = builds.world.pipelines(identity)
        asyncio.run(pipelines.launch(request))
        before = set(builds.world.blobs.names())
        (one,) = asyncio.run(pipelines.own_builds(request)).builds
        (recipe,) = set(builds.world.blobs.names()) - before
        assert recipe in one.recipe_url
        return unpacked(builds.world.blobs.get(recipe))

    bob = Identity(ME.org, "bob", ME.permissions)
    assert "ann-secret" in told(ME, "ann-secret")
    assert "ann-secret" not in told(bob, "bob-secret")


def test_corrected_password_is_used_for_the_same_commit(builds: Builds) -> None:
    images = {"own": {"image": "base:1", "copy_url": "https://git.invalid/a/b"}}
    for password in ("wrong", "right"):
        url = f"https://x:{password}@git.invalid/a/b"
        clone = CloneSource(url=url, branch="main", commit="a" * 40)
        sources = {"own": ImageSources(clone=clone)}
        builds.world.launch(TREE, images=images, run=False, sources=sources)
    (recipe,) = (key for key in builds.world.blobs.names() if key.endswith("recipe.tar.gz"))

    text = unpacked(builds.world.blobs.get(recipe))
    assert "CONDUCTO_GIT_LOGIN='https://git.invalid/a/b\nx\nright'" in text


def unpacked(recipe: bytes | None) -> str:
    """Return the text of the files of a recipe."""
    with tarfile.open(fileobj=io.BytesIO(recipe or b"")) as archive:
        files = [archive.extractfile(name) for name in archive.getnames()]
        return "".join(file.read().decode(errors="replace") for file in files if file is not None)


def test_an_image_that_was_pushed_is_launched_without_a_build(builds: Builds) -> None:
    builds.world.blobs.delete(context_key(ME.org, CODE))
    (one,) = own_builds(builds.world).builds
    tag = one.reference.rpartition(":")[2]
    said = {"reference": "evil:1", "shell": "/bin/sh", "workdir": ""}
    builds.world.blobs.put(f"builds/{ME.org}/{tag}/result.json", json.dumps(said).encode())

    with pytest.raises(RefusedError, match="was not uploaded"):  # a result without an image
        builds.launch()
    builds.world.builder.images.add((ME.org, tag))
    pipeline_id = builds.launch()
    builds.world.run_out()

    assert builds.image(pipeline_id).reference == one.reference
    assert builds.states(pipeline_id) == "done"
    assert builds.world.builder.requests == {}
    assert own_builds(builds.world) == OwnBuilds(builds=(), login=None)


def test_an_image_for_arm_is_built_there(builds: Builds) -> None:
    sources = {"own@arm64": SOURCES["own"]}
    tree = serial(leaf("a", arch="arm64"), image_name="own")
    pipeline_id = builds.world.launch(tree, images=OWN, sources=sources)

    assert builds.request().arch == "arm64"
    builds.succeeds()
    builds.world.minute(1)
    assert builds.image(pipeline_id).state is ImageState.DONE
    (task,) = builds.world.fleet.tasks.values()
    assert task.arch == "arm64"


def test_an_installation_without_workers_on_arm_refuses_the_launch() -> None:
    world = World(arm=False)

    with pytest.raises(DefinitionError, match="no workers on ARM; leave out arch='arm64'"):
        world.launch(leaf("a", arch="arm64"))
