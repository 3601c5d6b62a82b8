"""A plan to build an image elsewhere, with a docker client and no other part of Conducto.

The layers and their Dockerfiles are those of the local builder (`conducto_core.images.dockerfile`,
`conducto_core.images.dockerfile`). Values that the local builder reads from the engine (the base
image's user, entry point and shell) are read by the plan's script. Large contexts are not in a
plan: it names them, and the builder fetches them.
"""

import io
import json
import re
import shlex
import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib import resources

from conducto.wire.fields import ARM
from conducto_core.images import dockerfile as dockerfiles
from conducto_core.images import dockerfile as install
from conducto_core.images import dockerfile as layers
from conducto_core.images import references as registries
from conducto_core.images.model import ImageSpec
from conducto_core.images.references import LOGIN, PRIVATE, git_access, without_password
from conducto_core.run.model.records import ImageState
from conducto_core.run.model.responses import ImageStep

#: Name of a Dockerfile outside of its context.
FOREIGN = ".conducto.dockerfile"
#: The platform of workers in the cloud that ask for no other architecture, and of those on ARM.
PLATFORM = "linux/amd64"
ARM_PLATFORM = "linux/arm64"
#: The image of CodeBuild's machines with ARM processors.
ARM_MACHINE = "aws/codebuild/amazonlinux-aarch64-standard:3.0"
#: Build argument of the install step: the user of the image below.
_USER = "CONDUCTO_USER"


#: Digits of the digest of the variables and the directory of copied code.
_SETTINGS = 8


class BuildPlanError(Exception):
    """An image cannot have a plan; the message names the image, the reason and a remedy."""


@dataclass(frozen=True, slots=True)
class Clone:
    """A commit of a git repository.

    Attributes:
        commit: Its full hash, so that a plan has a fixed content.
    """

    url: str
    branch: str
    commit: str


@dataclass(frozen=True, slots=True)
class Sources:
    """The files of an image, read on the launching machine.

    Attributes:
        dockerfile: Text of the user's Dockerfile.
        context: Content hash of the build context; None if it is empty.
        code: Content hash of the code for ``CODE_DIR``.
        clone: Repository to clone the code from, instead of `code`.
        code_env: Variables that describe the origin of the code.
        npm_files: ``{name: content}`` of `install.NPM_FILES` in the code.
    """

    dockerfile: str | None = None
    dockerfile_name: str = FOREIGN
    context: str | None = None
    code: str | None = None
    clone: "Clone | None" = None
    code_env: Mapping[str, str] = field(default_factory=dict)
    npm_files: Mapping[str, bytes] = field(default_factory=dict)

    def contexts(self) -> tuple[str, ...]:
        """Return the hashes of the directories to upload."""
        return tuple(h for h in dict.fromkeys((self.context, self.code)) if h is not None)


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """One Dockerfile.

    Attributes:
        dockerfile: Its text; ``FROM`` names the previous step by `image_of`.
        name: Its path in the context.
        files: ``{path in the context: content}``, small ones.
        context: Hash of the uploaded directory that is its context.
        clone: The repository that is its context.
    """

    layer: layers.Layer
    dockerfile: str
    name: str = "Dockerfile"
    files: Mapping[str, bytes] = field(default_factory=dict)
    context: str | None = None
    clone: Clone | None = None
    args: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class BuildPlan:
    """A build plan of an image.

    Attributes:
        base: Image to pull, if the first step builds on it.
        shell: Name or path of the requested shell, or ``AUTO_SHELL``.
        arch: Architecture of the workers, as commands ask for it.
    """

    base: str | None
    steps: tuple[PlannedStep, ...]
    shell: str
    arch: str = ""

    @property
    def _platform(self) -> tuple[str, ...]:
        """The platform, if it is not that of all images of earlier versions."""
        return (ARM_PLATFORM,) if self.arch == ARM else ()

    @property
    def digest(self) -> str:
        """Name of the image: a function of all its inputs except its base images."""
        return layers.content_hash(
            "recipe", self.base, self.shell, [_output_text(s) for s in self.steps], *self._platform
        )

    @property
    def base_digest(self) -> str:
        """Identity of the image below the copied code, as far as its inputs determine it."""
        below = [_output_text(step) for step in self.steps if step.layer != "copied"]
        return layers.content_hash("base", self.base, self.shell, below, *self._platform)

    @property
    def code(self) -> str:
        """Identity of the copied code: its directory or commit, and its variables; "" without."""
        copied = next((step for step in self.steps if step.layer == "copied"), None)
        if copied is None:
            return ""
        settings = layers.content_hash("copied", copied.dockerfile.partition("\n")[2])[:_SETTINGS]
        source = copied.context if copied.clone is None else f"git:{copied.clone.commit}"
        return f"{source}+{settings}"

    def cache_key(self, number: int) -> str:
        """Return the key under which other images can reuse a step, or "" if that is not worth it.

        It depends on all inputs of the step and of those before it, except their base images. Code
        changes with each launch and is small; installed software does not, and takes minutes.
        """
        if self.steps[number].layer == "copied":
            return ""
        said = [_output_text(step) for step in self.steps[: number + 1]]
        return layers.content_hash("step", self.base, said, *self._platform)[:40]

    def bases(self) -> tuple[str, ...]:
        """Return the images of other registries that it builds on."""
        found = [] if self.base is None else [self.base]
        for step in self.steps:
            found += dockerfiles.base_references(step.dockerfile, step.args)
        steps = {image_of(number) for number in range(len(self.steps))}
        return tuple(base for base in dict.fromkeys(found) if base not in steps)

    def contexts(self) -> tuple[str, ...]:
        """Return the hashes of the uploaded directories that it needs."""
        found = (step.context for step in self.steps)
        return tuple(dict.fromkeys(context for context in found if context is not None))


def plan(spec: ImageSpec, sources: Sources, client: tuple[str, bytes] | None = None) -> BuildPlan:
    """Return the build plan of an image.

    Raises:
        BuildPlanError: something is missing.
    """
    steps: list[PlannedStep] = []
    base = spec.image
    if base is None:
        steps.append(_built(spec, sources))
    if layers.installs(spec):
        steps.append(_installed(spec, sources, client, _image_below(base, steps)))
    if layers.copies_code(spec):
        steps.append(_copied(spec, sources, _image_below(base, steps)))
    return BuildPlan(base, tuple(steps), spec.shell, spec.arch)


def _image_below(base: str | None, steps: list[PlannedStep]) -> str:
    return image_of(len(steps) - 1) if steps else str(base)


def image_of(number: int) -> str:
    """Return the name of the image of a step, counted from 0, in Dockerfiles.

    The script replaces it by a unique name, so that builds on one engine do not collide.
    """
    return f"conducto_step:{number}"


def _built(spec: ImageSpec, sources: Sources) -> PlannedStep:
    if sources.dockerfile is None:
        raise BuildPlanError(f"image {spec.name!r}: no Dockerfile was read; launch it again")
    text, _ = dockerfiles.without_syntax(sources.dockerfile)
    return PlannedStep(
        "built", text, sources.dockerfile_name, context=sources.context, args=spec.docker_build_args
    )


def _installed(
    spec: ImageSpec, sources: Sources, client: tuple[str, bytes] | None, below: str
) -> PlannedStep:
    if install.wants_client(spec) and client is None:
        raise BuildPlanError(f"image {spec.name!r}: the wheel of the conducto package is missing")
    if spec.install_npm is True and "package.json" not in sources.npm_files:
        raise BuildPlanError(
            f"image {spec.name!r}: install_npm=True installs what package.json names, but the "
            "copied code has none; name the packages or copy the directory that has it"
        )
    made = install.plan_install(spec, below, f"${{{_USER}}}", client, sources.npm_files)
    first, _, rest = made.dockerfile.partition("\n")
    return PlannedStep("installed", f"{first}\nARG {_USER}=root\n{rest}", files=made.files)


def _copied(spec: ImageSpec, sources: Sources, below: str) -> PlannedStep:
    if sources.code is None and sources.clone is None:
        raise BuildPlanError(f"image {spec.name!r}: the code was not uploaded; launch it again")
    dockerfile = layers.copy_dockerfile(spec, below, sources.code_env)
    # Neither the Dockerfile nor ignore rules are part of the code.
    return PlannedStep("copied", dockerfile, FOREIGN, context=sources.code, clone=sources.clone)


def _output_text(step: PlannedStep) -> object:
    files = {name: layers.bytes_hash(content) for name, content in step.files.items()}
    clone = step.clone
    # A changed password does not change the content.
    cloned = None if clone is None else [without_password(clone.url), clone.commit]
    return [step.layer, step.dockerfile, step.name, files, step.context, cloned, dict(step.args)]


def archive(recipe: BuildPlan, *, keep: bool = True) -> bytes:
    """Return the plan as a tar.gz; equal plans give equal bytes.

    `build.sh` in it executes it, or `push.sh`, which wraps that.

    ::

        build.sh  push.sh  find_shell.sh  recipe.env  bases
        steps/0/{dockerfile,name,layer,args,context,clone,kept}  steps/0/files/…

    Args:
        recipe: The plan.
        keep: Reuse steps of earlier builds, and keep those of this build.
    """
    files = {
        "build.sh": _script("build.sh"),
        "push.sh": _script("push.sh"),
        "find_shell.sh": layers.find_shell_script().encode(),
        "recipe.env": _settings(recipe, keep=keep).encode(),
        "bases": _bases(recipe).encode(),
    }
    for number, step in enumerate(recipe.steps):
        folder = f"steps/{number}"
        files[f"{folder}/dockerfile"] = step.dockerfile.encode()
        files[f"{folder}/name"] = step.name.encode()
        files[f"{folder}/layer"] = step.layer.encode()
        files[f"{folder}/args"] = _arguments(step.args).encode()
        files[f"{folder}/context"] = (step.context or "").encode()
        files[f"{folder}/clone"] = _clone(step.clone).encode()
        files[f"{folder}/kept"] = recipe.cache_key(number).encode()
        files.update({f"{folder}/files/{name}": content for name, content in step.files.items()})
    return _pack(sorted(files.items()))


def _script(name: str) -> bytes:
    return resources.files(__package__).joinpath(name).read_bytes()


def _bases(recipe: BuildPlan) -> str:
    """Return a line for each base image: registry, path in it, reference; none for digests."""
    named = [base for base in recipe.bases() if "@" not in base]
    return "".join(f"{' '.join(registries.parts(base))} {base}\n" for base in named)


def _settings(recipe: BuildPlan, *, keep: bool) -> str:
    from_pull = "" if recipe.base is None else recipe.base
    words = {
        "BASE": from_pull,
        "STEPS": str(len(recipe.steps)),
        "WANTED_SHELL": recipe.shell,
        "KEEP_STEPS": "yes" if keep else "",
        "PLANNED_PLATFORM": ARM_PLATFORM if recipe.arch == ARM else "",
    }
    return "".join(f"{name}={shlex.quote(value)}\n" for name, value in words.items())


def _arguments(args: Mapping[str, str]) -> str:
    words = [word for name, value in args.items() for word in ("--build-arg", f"{name}={value}")]
    return f"set -- {shlex.join(words)}\n"


def _clone(clone: Clone | None) -> str:
    if clone is None:
        return ""
    access = git_access(clone.url)
    words = {"CLONE_URL": access.url, "CLONE_BRANCH": clone.branch, "CLONE_COMMIT": clone.commit}
    if access.login:
        words[LOGIN] = access.login
    lines = [f"{name}={shlex.quote(value)}\n" for name, value in words.items()]
    return "".join(lines) + f'private_git() {{ git {shlex.join(PRIVATE)} "$@"; }}\n'


def _pack(files: Iterable[tuple[str, bytes]]) -> bytes:
    import gzip  # noqa: PLC0415  heavy, and rarely needed

    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, content in files:
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(content), 0o644
            tar.addfile(info, io.BytesIO(content))
    return gzip.compress(buffer.getvalue(), mtime=0)


@dataclass(frozen=True, slots=True)
class Built:
    """The result of the script.

    Attributes:
        reference: The registry's reference of the image.
        shell: Path of the shell that runs commands.
        workdir: Working directory, or None for ``/``.
    """

    reference: str
    shell: str
    workdir: str | None


def read_result(text: str) -> Built:
    """Return the result that the script wrote.

    Raises:
        ValueError: the text is not a result.
    """
    said = json.loads(text)
    try:
        return Built(said["reference"], said["shell"], said["workdir"] or None)
    except (KeyError, TypeError) as error:
        raise ValueError(f"not the result of an image build: {text[:200]!r}") from error


# ----------------------------------------------------------------------------------------
# The steps of a build elsewhere, read from the progress lines of its output.
#
# `push.sh` selects these lines while the build runs, and adds their times. They are those of
# `build.sh` and of ``docker build --progress=plain``, whose numbers restart with each image of a
# build::
#
#     1754000000.25 ==> building
#     1754000000.50 #5 [2/3] RUN make
#     1754000007.75 #5 DONE 7.1s
#     1754000008.00 ==> done
#
# The user's commands may print anything, so lines that cannot be read are ignored.


#: Maximum number of steps of one build.
MAX_STEPS = 300
#: Maximum characters of a name or an error.
_LONGEST = 500
#: A machine whose ``date`` has no fractions prints a letter instead.
_LINE = re.compile(r"(\d{1,12}(?:\.\d{1,9})?)\S* (.+)")
_NAME = re.compile(r"#(\d{1,9}) (\[.+)")
_END = re.compile(r"#(\d{1,9}) (DONE|CACHED|CANCELED|ERROR)(?: (\d{1,9}(?:\.\d{1,9})?)s|: (.+))?")
#: Internal steps of BuildKit, which are of no interest to users.
_INTERNAL = ("[internal]", "[auth]")
_STATE = "==> "
_DONE, _FAILED = "done", "failed"
_KEPT = "an earlier build made this already: "
_LAYERS = {"built": ImageState.BUILDING.value, "installed": ImageState.INSTALLING.value}
#: Prefixes of error messages of the docker client and of the script.
_COMPLAINTS = ("conducto: ", "ERROR: ", "Error response from daemon: ")

_Key = tuple[int, str]


def steps_in(output: str) -> tuple[ImageStep, ...]:
    """Return the steps of a build, in the order in which they started.

    Args:
        output: The selected lines so far. Text after the last line end is ignored, since it may be
            incomplete.
    """
    reader = _Reader()
    for line in output.split("\n")[:-1]:
        found = _LINE.fullmatch(line)
        if found is not None:
            reader.read_line(float(found[1]), found[2].strip())
    return tuple(reader.steps.values())


@dataclass(slots=True)
class _Reader:
    """Follows a build line by line.

    Attributes:
        steps: ``{(number of the state, number of the step in it): step}``.
    """

    steps: dict[_Key, ImageStep] = field(default_factory=dict)
    _number: int = 0
    _state: str | None = None
    _complaint: str | None = None

    def read_line(self, now: float, text: str) -> None:
        if text.startswith(_STATE):
            self._reach(now, text.removeprefix(_STATE)[:_LONGEST])
        elif text.startswith(_KEPT):
            self._fetched(now, text.removeprefix(_KEPT))
        elif text.startswith(_COMPLAINTS):
            self._complaint = text[:_LONGEST]
        elif (name := _NAME.fullmatch(text)) is not None:
            self._begin(now, name[1], name[2][:_LONGEST])
        elif (end := _END.fullmatch(text)) is not None:
            self._end(now, end)

    def _reach(self, now: float, word: str) -> None:
        """Start a new state, and end the steps of the previous one."""
        why = (self._complaint or "the build failed") if word == _FAILED else None
        for key, step in self.steps.items():
            if step.ended is None:
                self.steps[key] = step.model_copy(update={"ended": now, "error": why})
        self._number += 1
        self._complaint = None
        self._state = None if word in (_DONE, _FAILED) else word
        if self._state is not None:
            self._put((self._number, ""), ImageStep(name=word, started=now))

    def _fetched(self, now: float, layer: str) -> None:
        if layer in _LAYERS:
            step = ImageStep(name=_LAYERS[layer], started=now, ended=now, cached=True)
            self._put((self._number, layer), step)

    def _begin(self, now: float, number: str, name: str) -> None:
        """Start or continue a step: BuildKit repeats names when it prints others in between."""
        if name.startswith(_INTERNAL):
            return
        known = self.steps.get((self._number, number))
        if known is None:
            known = ImageStep(name=name, within=self._state, started=now)
        self._put((self._number, number), known.model_copy(update={"ended": None}))

    def _end(self, now: float, end: re.Match[str]) -> None:
        key = (self._number, end[1])
        known = self.steps.get(key)
        if known is None:
            return
        changes: dict[str, object] = {"ended": now, "cached": end[2] == "CACHED"}
        if end[3] is not None:  # BuildKit's own clock: names and ends are printed late
            changes["started"] = now - float(end[3])
        if end[2] == "CANCELED":
            changes["error"] = "stopped, because another step failed"
        elif end[2] == "ERROR":
            changes["error"] = (end[4] or "it failed")[:_LONGEST]
        self.steps[key] = known.model_copy(update=changes)

    def _put(self, key: _Key, step: ImageStep) -> None:
        if key in self.steps or len(self.steps) < MAX_STEPS:
            self.steps[key] = step
