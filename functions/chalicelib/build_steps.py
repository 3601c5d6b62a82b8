"""The steps of an image's build, as a pipeline that waits for it sees them."""

from conducto.images.build_steps import MOST_STEPS, steps_in
from conducto.model.answers import ImageStep
from conducto.model.records import ImageRecord, ImageState

_OVER = frozenset({ImageState.DONE, ImageState.ERROR})


def steps_of(told: bytes, record: ImageRecord) -> tuple[ImageStep, ...]:
    """Return the steps of the newest build of an image, the wait for a machine among them.

    Args:
        told: What the build has told of them so far.
        record: How the image is in the pipeline. A build that was ended from outside cannot tell
            that itself: what it had begun ended with the image.
    """
    steps = steps_in(told.decode(errors="replace"))
    steps = _wait(record, steps) + steps
    if record.state in _OVER:
        steps = tuple(_ended(step, record) for step in steps)
    return steps[:MOST_STEPS]


def _wait(record: ImageRecord, steps: tuple[ImageStep, ...]) -> tuple[ImageStep, ...]:
    """Return the time in the queue; none where the build was begun before it was asked for."""
    if record.started is None:
        return ()
    waiting = ImageStep(name=ImageState.QUEUED.value, started=record.started)
    if not steps:
        return (waiting,) if record.state is ImageState.QUEUED else ()
    began = steps[0].started
    if began is None or began < record.started:
        return ()
    return (waiting.model_copy(update={"ended": began}),)


def _ended(step: ImageStep, record: ImageRecord) -> ImageStep:
    if step.ended is not None:
        return step
    why = None if record.error is None else record.error.partition("\n")[0]
    return step.model_copy(update={"ended": record.ended, "error": why})
