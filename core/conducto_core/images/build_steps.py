"""The steps of a build elsewhere, read from the progress lines of its output.

`push.sh` selects these lines while the build runs, and adds their times. They are those of
`build.sh` and of ``docker build --progress=plain``, whose numbers restart with each image of a
build::

    1754000000.25 ==> building
    1754000000.50 #5 [2/3] RUN make
    1754000007.75 #5 DONE 7.1s
    1754000008.00 ==> done

The user's commands may print anything, so lines that cannot be read are ignored.
"""

import re
from dataclasses import dataclass, field

from conducto_core.model.records import ImageState
from conducto_core.model.responses import ImageStep

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
            reader.take(float(found[1]), found[2].strip())
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

    def take(self, now: float, text: str) -> None:
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
