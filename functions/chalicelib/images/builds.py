"""Image builds: their inputs, their execution and their state.

An image's tag in the registry is a hash of its organisation, of all its inputs except its base
images, and of a period of `BUILD_DAYS`: organisations share neither images nor uploaded
directories, and no image of a new launch expires soon. The files of a tag are in the bucket, below
``builds/<org>/<tag>/``::

    recipe.tar.gz   the build plan (`conducto_core.images.build_plan`)
    build.json      id and number of the latest build
    inputs.env      URLs of the build's inputs and outputs, and a token for its clone; fetched first
    login           the registry's password for the build, replaced before it expires
    log             the output of the build, which uploads it every few seconds
    steps           the progress lines of the output, with times, uploaded likewise
    result.json     the build's description of the image

A client that builds by itself gets its own recipe, ``builds/<org>/own/<random>/recipe.tar.gz``.

None of this is in a journal: polling determines an image's state, and a build that was lost is
started again.
"""

import base64
import binascii
import json
import logging
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from hashlib import sha256
from pathlib import Path
from secrets import token_hex
from types import MappingProxyType

from chalicelib.errors import AccessDeniedError, ThrottledError
from chalicelib.images.manifests import Manifests
from chalicelib.images.port import Builder, BuildRequest, BuildStatus
from chalicelib.people.port import Identity
from chalicelib.run.model import BuiltImage
from chalicelib.run.port import Blobs
from chalicelib.run.rules.launch_validation import check_reference, is_plain, ready_image
from chalicelib.triggers.tokens import GitTokens
from conducto.integrations.http import DeliveryError
from conducto.wire.fields import ARM
from conducto_core.api.cloud_operations import OwnBuild, OwnBuilds
from conducto_core.children.rules import files_of
from conducto_core.errors import RefusedError, invalid
from conducto_core.images import build_plan, sdk_wheel
from conducto_core.images import dockerfile as install
from conducto_core.images import dockerfile as layers
from conducto_core.images.build_plan import BuildPlan
from conducto_core.images.model import CODE_DIR, CloneSource, ImageSources, ImageSpec
from conducto_core.images.references import without_password
from conducto_core.installation.names import (
    BUILD_DAYS,
    BUILD_MINUTES,
    BUILD_PREFIX,
    CONTEXT_PREFIX,
    FRESH_DAYS,
)
from conducto_core.logs.handlers import image_log
from conducto_core.run.model.records import ImageState
from conducto_core.run.model.responses import ImageLog, ImageStep
from conducto_core.workers.rules.start_failures import with_remedy

logger = logging.getLogger(__name__)

#: Lifetime of a build's URLs in seconds: the longest wait plus the longest run. They end earlier
#: with the session of the function that signed them.
URL_SECONDS = 2 * 60 * BUILD_MINUTES
#: Seconds after which a running build's login is replaced: it expires after an hour.
LOGIN_RENEWAL = 1200.0
#: Lines of a failed build's output that are shown at its nodes.
LAST_LINES = 20
#: Seconds for which the token of a clone is valid when its build begins, with up to 3600.
_TOKEN_LEFT = 3000.0
_LINE = 300
_DAY = 86_400.0
_STATE = "==> "
#: Printed by `build.sh` if an upload does not match its hash.
_WRONG_CONTEXT = b"conducto: context %b has the wrong content"
_BUILDING = frozenset(ImageState) - {ImageState.PENDING, ImageState.DONE, ImageState.ERROR}
#: ``{progress word of a build: state}``.
_STATES = {state.value: state for state in _BUILDING} | {
    "pushing": ImageState.EXTENDING,
    "done": ImageState.EXTENDING,
}
_NO_ARM = (
    "this installation has no workers on ARM; leave out arch='arm64', or ask its administrator for "
    "conducto deploy -c arm=true"
)
_FAILURES: Mapping[BuildStatus, str] = {
    "failed": "its build failed",
    "timed_out": f"its build took more than {BUILD_MINUTES} minutes; make it smaller",
    "stopped": "its build was stopped; reset the nodes to build it again",
    "succeeded": "its build ended without an image; reset the nodes to build it again",
}


def context_key(org: str, digest: str) -> str:
    """Return the key of an organisation's uploaded directory."""
    return f"{CONTEXT_PREFIX}{org}/{digest}.tar.gz"


def is_building(image: BuiltImage | None, state: ImageState) -> bool:
    """Return whether a build of the image is in progress."""
    return image is not None and image.tag is not None and state in _BUILDING


class ImageBuilds:
    """Prepares, starts and polls builds."""

    def __init__(
        self,
        blobs: Blobs,
        builder: Builder,
        git_tokens: GitTokens,
        arm: bool,
        clock: Callable[[], float],
    ) -> None:
        self._builder = builder
        self._git_tokens = git_tokens
        self._arm = arm
        self._clock = clock
        self._blobs = blobs

    # ---- before a build -----------------------------------------------------------------------

    def prepare(
        self,
        org: str,
        images: Iterable[ImageSpec],
        sources: Mapping[str, ImageSources],
        *,
        salt: str = "",
        rebuilt: Iterable[BuiltImage] = (),
        preview: bool = False,
    ) -> tuple[BuiltImage, ...]:
        """Return images in their initial states: ready, or pending a build.

        Args:
            org: The organisation that owns the images.
            images: Definitions.
            sources: ``{image name: contents read from its files}``.
            salt: Changes the tag, which forces a new build of the same content.
            rebuilt: Images of the pipeline; one that was rebuilt from the same content remains.
            preview: Nothing will be built, so the directories need not be uploaded.

        Raises:
            DefinitionError: An image cannot be built here.
            RefusedError: A directory that it needs was not uploaded.
        """
        images = tuple(images)
        salts = {built.tag: built.salt for built in rebuilt if built.salt}
        for image in images:
            if image.arch == ARM and not self._arm:
                raise invalid(None, f"image {image.name!r}: {_NO_ARM}")
            self._check_references(org, image.name, () if image.image is None else (image.image,))
        return tuple(
            ready_image(image)
            if is_plain(image)
            else self._prepared(org, image, sources.get(image.name), salt, salts, preview=preview)
            for image in images
        )

    def _prepared(
        self,
        org: str,
        image: ImageSpec,
        given: ImageSources | None,
        salt: str,
        salts: Mapping[str | None, str],
        *,
        preview: bool,
    ) -> BuiltImage:
        pending = self._planned(org, image, given, salt, salts)
        found = self._found(org, pending)
        if found is None and not preview:
            self._check_uploaded(org, image, pending.contexts)
        return found or pending

    def _planned(
        self,
        org: str,
        image: ImageSpec,
        given: ImageSources | None,
        salt: str = "",
        salts: Mapping[str | None, str] = MappingProxyType({}),
    ) -> BuiltImage:
        """Return an image pending a build, after writing its recipe to the bucket."""
        plan = self._plan(org, image, given)
        period = self._period()
        salt = next(
            (s for tag, s in salts.items() if _tag(org, plan.digest, s, period) == tag), salt
        )
        pending = _pending(org, image, plan, period, salt)
        clone = None if given is None else given.clone
        if clone is not None and clone.is_lent:
            pending = pending.model_copy(update={"clone": clone})
        key = _key(org, str(pending.tag), "recipe.tar.gz")
        # The tag does not depend on a password, which may be a corrected one.
        if (clone is not None and _is_private(clone)) or not self._is_fresh(key):
            # A rebuild installs everything again.
            self._blobs.put(key, build_plan.archive(plan, keep=not salt))
        return pending

    def _period(self) -> int:
        """Return the number of the period in which launches use the same build of an image.

        ECR expires images by the time of their push: its rules for the time of the last pull can
        only archive them, and nobody can pull or replace an archived image.
        """
        return int(self._clock() // (BUILD_DAYS * _DAY))

    def _plan(self, org: str, image: ImageSpec, given: ImageSources | None) -> BuildPlan:
        client = _client_wheel() if install.wants_client(image) else None
        try:
            plan = build_plan.plan(image, _sources(image, given), client)
        except build_plan.BuildPlanError as error:
            raise invalid(None, str(error)) from error
        self._check_references(org, image.name, plan.bases())
        return plan

    def _check_references(self, org: str, image: str, references: Iterable[str]) -> None:
        for reference in references:
            check_reference(image, reference, self._builder.reference(org, "any"))

    def for_own(
        self,
        caller: Identity,
        images: Iterable[ImageSpec],
        sources: Mapping[str, ImageSources],
    ) -> OwnBuilds:
        """Return the images that the caller must build, and where to deliver them.

        Local builds are as trusted as uploads: a user who may launch may run anything in their
        organisation.

        Raises:
            DefinitionError: An image cannot be built.
        """
        missing: dict[str, tuple[BuiltImage, BuildPlan]] = {}
        for image in images:
            if is_plain(image):
                continue
            plan = self._plan(caller.org, image, sources.get(image.name))
            pending = _pending(caller.org, image, plan, self._period())
            if self._found(caller.org, pending) is None:
                missing[str(pending.tag)] = pending, plan
        if not missing:
            return OwnBuilds(builds=(), login=None)
        return OwnBuilds(
            builds=tuple(self._own_build(caller.org, *each) for each in missing.values()),
            login=self._builder.login(caller.org, caller.user),
        )

    def _own_build(self, org: str, image: BuiltImage, plan: BuildPlan) -> OwnBuild:
        # The recipe of the tag may have the password of another member.
        recipe = f"{BUILD_PREFIX}{org}/own/{token_hex(16)}/recipe.tar.gz"
        self._blobs.put(recipe, build_plan.archive(plan))
        urls = self._urls(org, image)
        return OwnBuild(
            image=image.name,
            reference=self._builder.reference(org, str(image.tag)),
            contexts=image.contexts,
            recipe_url=self._fetch(recipe),
            log_url=urls["LOG_URL"],
            result_url=urls["RESULT_URL"],
        )

    def wanted_contexts(self, org: str, digests: Iterable[str]) -> Iterator[tuple[str, str]]:
        """Yield ``(digest, key)`` of the directories to upload, including outdated ones."""
        for digest in digests:
            key = context_key(org, digest)
            if not self._is_fresh(key):
                yield digest, key

    def _is_fresh(self, key: str) -> bool:
        put_at = self._blobs.put_at(key)
        return put_at is not None and self._clock() - put_at < FRESH_DAYS * _DAY

    def _check_uploaded(self, org: str, image: ImageSpec, contexts: Iterable[str]) -> None:
        for digest in contexts:
            if not self._blobs.exists(context_key(org, digest)):
                raise RefusedError(
                    f"image {image.name!r}: a directory that it needs was not uploaded "
                    f"({digest[:12]}…); launch again from the machine that has it"
                )

    def manifests(self, org: str) -> Manifests:
        """Return the manifests of the organisation's uploaded directories."""
        return Manifests(self._blobs, lambda digest: context_key(org, digest))

    # ---- a build ------------------------------------------------------------------------------

    def begin(self, org: str, pipeline_id: str, image: BuiltImage) -> BuiltImage:
        """Start the build of an image, or join a running one; return the new state."""
        found = self._found(org, image)
        if found is not None:
            return found
        tag = str(image.tag)
        known = self._newest(org, tag)
        if known is not None and self._builder.status(known[0]) in ("queued", "running"):
            return _moved(image, ImageState.QUEUED, build=known[0])
        number = 1 if known is None else known[1] + 1
        for name in ("log", "steps", "result.json"):
            self._blobs.delete(_key(org, tag, name))
        try:
            self._log_in(org, tag)
            inputs = self._inputs(org, image)
            request = BuildRequest(org, pipeline_id, tag, f"{tag}-{number}", inputs, image.arch)
            build = self._builder.start(request)
        except (AccessDeniedError, ThrottledError) as error:
            # Includes a full CodeBuild queue; `look` starts the build again.
            return _waiting(image, error)
        except DeliveryError as error:
            logger.warning("a build is delayed: %s", error, extra={"tag": image.tag})
            return _moved(image, ImageState.QUEUED, error=str(error))
        except RefusedError as error:
            return _moved(image, ImageState.ERROR, error=f"image {image.name!r}: {error}")
        written = json.dumps({"id": build, "number": number})
        self._blobs.put(_key(org, tag, "build.json"), written.encode())
        return _moved(image, ImageState.QUEUED, build=build)

    def build_state(self, org: str, pipeline_id: str, image: BuiltImage) -> BuiltImage:
        """Return the current state of an image that is being built."""
        found = self._found(org, image)
        if found is not None:
            return found
        status = "gone" if image.build is None else self._builder.status(image.build)
        if status == "gone" or (status == "failed" and self._lost_inputs(org, image)):
            return self.begin(org, pipeline_id, image)
        if status in ("queued", "running"):
            try:
                self._renew_login(org, image)
            except (AccessDeniedError, ThrottledError) as error:
                return _waiting(image, error)
        if status == "queued":
            return _moved(image, ImageState.QUEUED)
        log = self.log(org, image)
        if status == "running":
            return _moved(image, _state_in(log))
        self._delete_wrong_contexts(org, image, log)
        failure = _failure(image.name, status, log)
        # The build may have succeeded since the first check.
        return self._found(org, image) or _moved(image, ImageState.ERROR, error=failure)

    def _lost_inputs(self, org: str, image: BuiltImage) -> bool:
        """Return whether a build failed before any output, after a long time in the queue.

        The session that had signed the URL of its inputs had ended by then.
        """
        put_at = self._blobs.put_at(_key(org, str(image.tag), "build.json"))
        is_old = put_at is not None and self._clock() - put_at > LOGIN_RENEWAL
        return is_old and not self.log(org, image)

    def _delete_wrong_contexts(self, org: str, image: BuiltImage, log: bytes) -> None:
        """Delete uploads that a build rejected, so that the next launch uploads them again."""
        for digest in image.contexts:
            if _WRONG_CONTEXT % digest.encode() in log:
                logger.warning(
                    "an uploaded directory has the wrong content",
                    extra={"org": org, "digest": digest},
                )
                self._blobs.delete(context_key(org, digest))

    def log(self, org: str, image: BuiltImage) -> bytes:
        """Return the output of an image's latest build so far; the build limits its size."""
        return self._blobs.get(_key(org, str(image.tag), "log")) or b""

    def output(self, org: str, image: BuiltImage) -> bytes:
        """Return the progress of an image's latest build (`conducto_core.images.build_plan`)."""
        return self._blobs.get(_key(org, str(image.tag), "steps")) or b""

    def _log_in(self, org: str, tag: str) -> None:
        """Write the registry password to the bucket for the build, if the registry requires one.

        The build's own role cannot access images: it runs a user's commands, and all organisations
        share it.
        """
        login = self._builder.login(org, f"build-{tag}")
        if login is not None:
            self._blobs.put(_key(org, tag, "login"), login.password.encode())

    def _renew_login(self, org: str, image: BuiltImage) -> None:
        """Replace the login, and the signed URLs that a waiting build has not read yet."""
        tag = str(image.tag)
        put_at = self._blobs.put_at(_key(org, tag, "login"))
        if put_at is not None and self._clock() - put_at > LOGIN_RENEWAL:
            self._log_in(org, tag)
            self._inputs(org, image)

    def _inputs(self, org: str, image: BuiltImage) -> dict[str, str]:
        """Write the variables of a build to the bucket; return those with which it starts."""
        urls, key = self._urls(org, image), _key(org, str(image.tag), "inputs.env")
        words = {**urls, **self._lent(org, image)}
        lines = [f"{name}={shlex.quote(word)}\n" for name, word in sorted(words.items())]
        self._blobs.put(key, "".join(lines).encode())
        # The log is uploaded even if fetching the inputs fails.
        return {"INPUTS_URL": self._fetch(key), "LOG_URL": urls["LOG_URL"]}

    def _lent(self, org: str, image: BuiltImage) -> Mapping[str, str]:
        """Return the variables with the current token of the clone's trigger or user."""
        clone = image.clone
        if clone is None:
            return {}
        return self._git_tokens.clone_logins(org, clone, left=_TOKEN_LEFT)

    def _fetch(self, key: str) -> str:
        return self._blobs.download_url(key, filename="x", seconds=URL_SECONDS)

    def _urls(self, org: str, image: BuiltImage) -> dict[str, str]:
        def deliver(name: str) -> str:
            return self._blobs.upload_url(_key(org, tag, name), seconds=URL_SECONDS)

        tag = str(image.tag)
        login = _key(org, tag, "login")
        return {
            "RECIPE_URL": self._fetch(_key(org, tag, "recipe.tar.gz")),
            "LOG_URL": deliver("log"),
            "STEPS_URL": deliver("steps"),
            "RESULT_URL": deliver("result.json"),
            **({"LOGIN_URL": self._fetch(login)} if self._blobs.exists(login) else {}),
            **{f"CONTEXT_{d}": self._fetch(context_key(org, d)) for d in image.contexts},
        }

    def _newest(self, org: str, tag: str) -> tuple[str, int] | None:
        written = self._blobs.get(_key(org, tag, "build.json"))
        if written is None:
            return None
        known = json.loads(written)
        return str(known["id"]), int(known["number"])

    def _found(self, org: str, image: BuiltImage) -> BuiltImage | None:
        """Return an image in its final state, if it exists in the registry with a known result."""
        tag = str(image.tag)
        written = self._blobs.get(_key(org, tag, "result.json"))
        if written is None or not self._builder.exists(org, tag):
            return None
        try:
            built = build_plan.read_result(written.decode())
        except ValueError:
            logger.warning("the result of a build is invalid", extra={"tag": tag})
            return None
        # Ignore the name in the result: a build runs a user's commands.
        return image.model_copy(
            update={
                "state": ImageState.DONE,
                "reference": self._builder.reference(org, tag),
                "shell": built.shell,
                "workdir": built.workdir,
                "error": None,
            }
        )


def _pending(
    org: str, image: ImageSpec, plan: BuildPlan, period: int, salt: str = ""
) -> BuiltImage:
    return BuiltImage(
        name=image.name,
        state=ImageState.PENDING,
        path_map=layers.path_map(image),
        tag=_tag(org, plan.digest, salt, period),
        salt=salt,
        contexts=plan.contexts(),
        base=f"{plan.base_digest} {salt}",
        code=plan.code,
        workdir=CODE_DIR if image.docker_auto_workdir and plan.code else None,
        arch=image.arch,
    )


def _tag(org: str, digest: str, salt: str, period: int) -> str:
    return sha256(f"{org}\0{digest}\0{salt}\0{period}".encode()).hexdigest()[:40]


def chunk_of(
    log: bytes, offset: int, limit: int, *, complete: bool, steps: tuple[ImageStep, ...] = ()
) -> ImageLog:
    """Return a chunk of a log; an incomplete character is left to the next chunk.

    A negative ``offset`` counts from the end.
    """
    start = max(0, len(log) + offset) if offset < 0 else min(offset, len(log))
    data = log[start : start + limit]
    return image_log(data, start, len(log), complete=complete, steps=steps)


def known_sources(
    images: Iterable[ImageSpec],
    known: Mapping[str, ImageSpec],
    sources: Mapping[str, ImageSources],
) -> dict[str, ImageSources]:
    """Return sources for the images of a generated tree.

    The files of the launching machine cannot be read when a command generates a tree: an image
    either uses the same files as an image of the launch, or none.

    Args:
        images: The new images.
        known: The images of the launch.
        sources: The contents of their files.
    """
    by_files = {files_of(known[name]): given for name, given in sources.items() if name in known}
    found = {}
    for image in images:
        files = files_of(image)
        given = sources.get(image.name) or by_files.get(files)
        if given is None and not any(files):
            given = ImageSources(dockerfile=image.dockerfile_text)
        if given is not None:
            found[image.name] = given
    return found


def _is_private(clone: CloneSource) -> bool:
    return clone.is_lent or without_password(clone.url) != clone.url


def _sources(image: ImageSpec, given: ImageSources | None) -> build_plan.Sources:
    if given is None:
        raise invalid(
            None,
            f"image {image.name!r}: its files were not sent with the launch; assign the image "
            "to a node of the tree that you launch, or launch with a newer client",
        )
    clone = given.clone
    try:
        npm = {
            name: base64.b64decode(text, validate=True) for name, text in given.npm_files.items()
        }
    except binascii.Error as error:
        raise invalid(
            None, f"image {image.name!r}: npm_files is not valid base64: {error}"
        ) from error
    return build_plan.Sources(
        dockerfile=given.dockerfile,
        dockerfile_name=given.dockerfile_name or build_plan.FOREIGN,
        context=given.context,
        code=given.code,
        clone=None if clone is None else _clone(clone),
        code_env=given.code_env,
        npm_files=npm,
    )


def _clone(given: CloneSource) -> build_plan.Clone:
    # A password is not sent after a redirect, with which GitLab answers at other addresses.
    url = f"{given.url.rstrip('/').removesuffix('.git')}.git" if given.is_lent else given.url
    return build_plan.Clone(url, given.branch, given.commit)


@cache
def _client_wheel() -> tuple[str, bytes]:
    """Return the SDK wheel for images: the packaged one, or one built from the running code."""
    packaged = sorted(Path(__file__).parents[1].glob("client/*.whl"))
    return (packaged[0].name, packaged[0].read_bytes()) if packaged else sdk_wheel.client_wheel()


def _key(org: str, tag: str, name: str) -> str:
    return f"{BUILD_PREFIX}{org}/{tag}/{name}"


def _moved(image: BuiltImage, state: ImageState, **changes: str | None) -> BuiltImage:
    return image.model_copy(update={"state": state, "error": None, **changes})


def _waiting(image: BuiltImage, error: Exception) -> BuiltImage:
    logger.warning("a build is delayed: %s", error, extra={"tag": image.tag})
    return _moved(image, ImageState.QUEUED, error=f"AWS reported: {with_remedy(str(error))}")


def _state_in(log: bytes) -> ImageState:
    for line in reversed(log.decode(errors="replace").splitlines()):
        word = line.removeprefix(_STATE).strip()
        if line.startswith(_STATE) and word in _STATES:
            return _STATES[word]
    return ImageState.QUEUED


def _failure(name: str, status: BuildStatus, log: bytes) -> str:
    lines = [line[:_LINE] for line in log.decode(errors="replace").splitlines() if line.strip()]
    first = f"image {name!r}: {_FAILURES.get(status, _FAILURES['failed'])}"
    return "\n".join([first, *(f"  {line}" for line in lines[-LAST_LINES:])])
