"""Builds the images of definitions, each layer once.

An image is a chain of layers, each named by the hash of its inputs: ``built`` (or a pulled image),
``installed``, ``copied``, ``extended``. A layer that the engine already has is reused, so changed
code costs one copy, and an unchanged definition costs nothing.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from conducto_core.images import contexts, sdk_wheel, sources
from conducto_core.images import dockerfile as install
from conducto_core.images import dockerfile as layers
from conducto_core.images.contexts import ROOT, ContextError, Owner
from conducto_core.images.model import AUTO_SHELL, CODE_DIR, ImageSpec
from conducto_core.run.model.records import ImageState
from conducto_local.engine.docker.http import HttpClient
from conducto_local.engine.port import BuildLog, BuiltImage, ImageError, UnbuiltImage
from conducto_local.images import base_images
from conducto_local.images.base_images import Base, BuildContext, SingleFlight, WorkNeededError
from conducto_local.images.engine_images import EngineImages, ImageInfo, with_env
from conducto_local.images.git_clones import Checkout, GitClones, git_sha
from conducto_local.images.manifests import MANIFESTS, Manifests
from conducto_local.images.progress import BuildLogWriter

# ----------------------------------------------------------------------------------------
# The owner of code that is copied into an image: the user that its commands run as.


class Files(Protocol):
    """Reads files of containers."""

    async def read_file(self, container: str, path: str) -> bytes | None:
        """Return the content of a file of a container, or None if there is none."""
        ...


def is_needed(user: str) -> bool:
    """Return whether an image's ``User`` is not root."""
    return user.partition(":")[0] not in {"", "0", "root"}


async def find(files: Files, container: str, user: str) -> Owner:
    """Return the ids of an image's ``User``, according to the image's own files.

    Raises:
        ImageError: The image has no such user or group.
    """
    if not is_needed(user):
        return ROOT
    name, _, group = user.partition(":")
    if name.isdigit() and group.isdigit():
        return int(name), int(group)
    users = _table(await files.read_file(container, "/etc/passwd"))
    groups = _table(await files.read_file(container, "/etc/group"))
    return _user_id(user, name, users), _group_id(user, group, name, users, groups)


def _table(text: bytes | None) -> list[list[str]]:
    lines = (text or b"").decode(errors="replace").splitlines()
    return [line.split(":") for line in lines if line.count(":") >= 3]  # noqa: PLR2004 - /etc/group


def _user_id(user: str, name: str, users: list[list[str]]) -> int:
    if name.isdigit():
        return int(name)
    found = next((row[2] for row in users if row[0] == name), "")
    return _id(user, found, "/etc/passwd")


def _group_id(
    user: str, group: str, name: str, users: list[list[str]], groups: list[list[str]]
) -> int:
    if group.isdigit():
        return int(group)
    if group:
        return _id(user, next((row[2] for row in groups if row[0] == group), ""), "/etc/group")
    # The group in the user's line; for a number without a line the engine uses group 0.
    return _id(user, next((row[3] for row in users if name in {row[0], row[2]}), "0"), "")


def _id(user: str, found: str, file: str) -> int:
    if not found.isdigit():
        raise ImageError(
            f"USER {user}: the image has no such user or group in {file}; add it or use a number"
        )
    return int(found)


@dataclass(slots=True)
class Shells:
    """Finds the shells of images and caches them by image id."""

    engine: EngineImages
    _known: dict[tuple[str, str], str] = field(default_factory=dict)

    async def find(self, image: ImageInfo, wanted: str) -> str:
        """Return the path of the image's shell.

        Args:
            wanted: A name or path, or ``AUTO_SHELL`` for the best available.

        Raises:
            ImageError: The image has no such shell.
        """
        key = (image.id, wanted)
        if key not in self._known:
            self._known[key] = await self._probe(image.id, wanted)
        return self._known[key]

    async def _probe(self, image: str, wanted: str) -> str:
        names = layers.SHELLS if wanted == AUTO_SHELL else (wanted,)
        command = ["/bin/sh", "-c", layers.find_shell_script(), "find-shell", *names]
        async with self.engine.container(image, command) as container:
            code, output = await self.engine.run(container)
        path = output.strip().splitlines()[-1] if output.strip() else ""
        if code == 0 and path.startswith("/"):
            return path
        if code is None:
            raise ImageError(
                "Could not auto-determine correct shell to use: the image cannot run /bin/sh. "
                f"Commands need one; use a base image that has it. The engine reported: {output}"
            )
        raise ImageError(
            f"the image has no shell {wanted!r}; correct shell= or leave it out"
            if wanted != AUTO_SHELL
            else "Could not auto-determine correct shell to use: none of "
            f"{', '.join(layers.SHELLS)} found"
        )


#: Maximum number of simultaneous builds and pulls; more would only share the same disk and network.
PARALLEL = 4


@dataclass(frozen=True, slots=True)
class _Code:
    """A directory to copy into an image, and the variables that describe its origin."""

    root: str
    env: Mapping[str, str]


class Builder:
    """Builds images with a container engine; implements `ImageBuilder`.

    A builder serves one launch: it fetches each repository once and caches its images. `for_launch`
    returns the next builder, which shares the work in progress.
    """

    def __init__(
        self,
        http: HttpClient,
        cache: Path,
        *,
        parallel: int = PARALLEL,
        labels: Mapping[str, str] | None = None,
        work_labels: Mapping[str, str] | None = None,
        arch: str = "",
    ) -> None:
        engine = EngineImages(http, labels or {}, work_labels or {})
        self._shop = BuildContext(engine, asyncio.Semaphore(parallel), arch=arch)
        self._shells = Shells(engine)
        self._clones = GitClones(cache / "clones")
        self._definitions: SingleFlight[BuiltImage] = SingleFlight()
        self._checkouts: dict[tuple[str, str], Checkout] = {}
        self._done: dict[str, BuiltImage] = {}
        self.unbuilt: dict[str, UnbuiltImage] = {}
        self._manifests = Manifests(cache / MANIFESTS)

    def for_launch(self, *, may_build: bool = True) -> "Builder":
        """Return a builder that rereads code and repositories.

        Args:
            may_build: False: raise a `WorkNeededError` instead of a pull or a build.
        """
        other = object.__new__(Builder)
        other._shop = (
            self._shop if may_build else replace(self._shop, layers=SingleFlight(is_open=False))
        )
        other._shells = self._shells
        other._clones = self._clones
        other._definitions = SingleFlight()
        other._checkouts = {}
        other._done = {}
        other.unbuilt = {}
        other._manifests = self._manifests
        return other

    async def find(self, reference: str) -> BuiltImage | None:
        found = await self._shop.found(reference)
        if found is None or layers.LABEL_SHELL not in found.info.labels:
            return None
        shell = found.info.labels[layers.LABEL_SHELL]
        return BuiltImage(reference=reference, shell=shell, workdir=found.info.workdir)

    async def lookup(self, spec: ImageSpec) -> BuiltImage | UnbuiltImage | None:
        reader = self.for_launch(may_build=False)
        try:
            return await reader.build(spec, BuildLogWriter())
        except (WorkNeededError, ImageError):
            return reader.unbuilt.get(layers.definition_hash(spec))

    async def build(self, spec: ImageSpec, log: BuildLog) -> BuiltImage:
        key = layers.definition_hash(spec)
        done = self._done.get(key)
        if done is not None:
            log.step(ImageState.DONE)
            return done
        return await self._definitions.join(key, log, lambda said: self._build(spec, key, said))

    async def _build(self, spec: ImageSpec, key: str, log: BuildLogWriter) -> BuiltImage:
        log.step(ImageState.QUEUED)
        try:
            checkout = await self._checkout(spec, log)
            base = await base_images.resolve_base(self._shop, spec, log)
            if layers.installs(spec):
                base = await self._installed(spec, base, checkout, log)
            filled = await self._with_code(spec, base, checkout, log)
            image = await self._extended(spec, filled, base, log)
        except ContextError as error:
            log.step(ImageState.ERROR)
            raise ImageError(str(error)) from error
        except ImageError:
            log.step(ImageState.ERROR)
            raise
        log.step(ImageState.DONE)
        self._done[key] = image
        return image

    async def _with_code(
        self, spec: ImageSpec, base: Base, checkout: Checkout | None, log: BuildLogWriter
    ) -> Base:
        if spec.copy_dir is None and checkout is None:
            self._note_content(spec, base, "", base.info.workdir)
        if spec.copy_dir is not None:
            return await self._copied(spec, base, await _local_code(spec, spec.copy_dir), log)
        if checkout is None:
            return base
        async with self._clones.lock(*checkout.key):
            # Another launch may have updated the working tree: describe the commit that is copied.
            sha = await git_sha(checkout.path)
            env = checkout.env if sha is None else {**checkout.env, "CONDUCTO_GIT_SHA": sha}
            return await self._copied(spec, base, _Code(str(checkout.path), env), log)

    async def _checkout(self, spec: ImageSpec, log: BuildLogWriter) -> Checkout | None:
        if spec.copy_url is None or spec.copy_branch is None:
            return None
        if spec.copy_url.startswith("s3://"):
            raise ImageError(
                f"copy_url {spec.copy_url!r}: only git repositories are supported; "
                "download it and use copy_dir"
            )
        key = (spec.copy_url, spec.copy_branch)
        async with self._clones.lock(*key):
            if key not in self._checkouts:
                log.step(ImageState.CLONING)
                self._checkouts[key] = await self._clones.refresh(*key, log)
        return self._checkouts[key]

    async def _installed(
        self, spec: ImageSpec, base: Base, checkout: Checkout | None, log: BuildLogWriter
    ) -> Base:
        client = None
        if install.wants_client(spec):
            client = await asyncio.to_thread(sdk_wheel.client_wheel)
        code = spec.copy_dir if checkout is None else str(checkout.path)
        npm_files = sources.read_npm_files(code) if spec.install_npm is True else {}
        plan = install.plan_install(spec, base.reference, base.info.user, client, npm_files)
        tag = layers.layer_tag("installed", install.install_hash(base.info.id, plan))

        async def build(said: BuildLogWriter) -> None:
            files = {"Dockerfile": plan.dockerfile.encode(), **plan.files}
            tar = contexts.pack_files(files) + contexts.TAR_END
            labels = {layers.LABEL_LAYER: "installed"}
            platform = self._shop.platform(spec)
            error = await self._shop.engine.build(tag, tar, said, labels=labels, platform=platform)
            if error is not None:
                raise said.failure(f"installing into {base.reference!r} failed: {error}")

        return await self._shop.layer(tag, ImageState.INSTALLING, log, build)

    async def _copied(self, spec: ImageSpec, base: Base, code: _Code, log: BuildLogWriter) -> Base:
        context = await asyncio.to_thread(sources.read_code, spec, code.root)
        tree = await asyncio.to_thread(contexts.tree_hash, context, self._shop.digests)
        workdir = CODE_DIR if spec.docker_auto_workdir else base.info.workdir
        owned = ["owned"] if is_needed(base.info.user) else []
        digest = layers.content_hash("copied", base.info.id, tree, workdir, dict(code.env), *owned)
        tag = layers.layer_tag("copied", digest)
        code_id = layers.content_hash("code", tree, workdir, dict(code.env))
        args = code_id, context, self._shop.digests, code.env
        await asyncio.to_thread(self._manifests.write, *args)
        self._note_content(spec, base, code_id, workdir)

        async def copy(said: BuildLogWriter) -> None:
            said.lines(await asyncio.to_thread(base_images.remarks, context))
            settings = {"WorkingDir": workdir, "Env": with_env(base.info.config, code.env)}
            await self._copy(base, context, settings, tag)

        return await self._shop.layer(tag, ImageState.COPYING, log, copy)

    def _note_content(self, spec: ImageSpec, base: Base, code: str, workdir: str) -> None:
        self.unbuilt[layers.definition_hash(spec)] = UnbuiltImage(
            workdir=workdir,
            path_map=layers.path_map(spec),
            base=layers.content_hash("base", base.info.id, spec.shell),
            code=code,
        )

    async def _copy(
        self, base: Base, context: contexts.Context, settings: Mapping[str, object], tag: str
    ) -> None:
        engine = self._shop.engine
        labels = {**base.info.labels, layers.LABEL_LAYER: "copied"}
        config = {**base.info.config, **settings, "Labels": labels}
        async with engine.container(base.info.id, ["/bin/sh"]) as container:
            owner = await find(engine, container, base.info.user)
            tar = contexts.pack(context, layers.CODE_PREFIX, owner)
            head = contexts.pack_files({}, (layers.CODE_PREFIX,), owner)
            await engine.put(container, base_images.stream(head, tar))
            await engine.commit(container, tag, config)

    async def _extended(
        self, spec: ImageSpec, base: Base, before: Base, log: BuildLogWriter
    ) -> BuiltImage:
        # The shell is searched in the layer before the code, which changes less often.
        digest = layers.content_hash("extended", base.info.id, spec.shell)
        tag = layers.layer_tag("extended", digest)

        async def extend(_said: BuildLogWriter) -> None:
            shell = await self._shells.find(before.info, spec.shell)
            config = dict(base.info.config)
            entrypoint = layers.saved_entrypoint(config.get("Entrypoint"))
            if entrypoint is not None:
                config["Env"] = with_env(config, {"ENTRYPOINT": entrypoint})
            config["Entrypoint"] = []
            labels = {layers.LABEL_LAYER: "extended", layers.LABEL_SHELL: shell}
            config["Labels"] = {**base.info.labels, **labels}
            async with self._shop.engine.container(base.info.id, ["/bin/sh"]) as container:
                await self._shop.engine.commit(container, tag, config)

        image = await self._shop.layer(tag, ImageState.EXTENDING, log, extend)
        content = self.unbuilt[layers.definition_hash(spec)]
        return BuiltImage(
            reference=tag,
            shell=image.info.labels[layers.LABEL_SHELL],
            workdir=image.info.workdir,
            path_map=content.path_map,
            base=content.base,
            code=content.code,
        )


async def _local_code(spec: ImageSpec, root: str) -> _Code:
    sha = await git_sha(Path(root)) if spec.copies_git else None
    return _Code(root, {} if sha is None else {"CONDUCTO_GIT_SHA": sha})
