"""The annotations in the stream of an attempt, which `co.annotate` begins."""

from collections.abc import Mapping

from pydantic import ValidationError

from conducto.wire.outputs import ANNOTATIONS, MAX_ANNOTATIONS
from conducto_core.annotations.rules import valid
from conducto_core.command.masking import Mask
from conducto_core.results.model import OutputSummary
from conducto_core.results.outputs import CollectedOutputs, objects_in


def with_annotations(
    outputs: CollectedOutputs, files: Mapping[str, bytes], mask: Mask
) -> CollectedOutputs:
    """Return the outputs of a command with its annotations, masked and within the limits."""
    data = files.get(ANNOTATIONS)
    if not data:
        return outputs
    warnings: list[str] = []
    lines = _lines(data, mask, warnings)
    summary = (outputs.summary or OutputSummary()).model_copy(update={"annotations": len(lines)})
    return CollectedOutputs(
        summary if lines else outputs.summary,
        {**outputs.streams, **({"annotations": "".join(lines).encode()} if lines else {})},
        (*outputs.warnings, *warnings),
    )


def _lines(data: bytes, mask: Mask, warnings: list[str]) -> list[str]:
    lines: list[str] = []
    bad = more = 0
    for line in objects_in(data):
        if len(lines) == MAX_ANNOTATIONS:
            more += 1
            continue
        try:
            found = valid({key: _masked(value, mask) for key, value in line.items()})
            lines.append(found.model_dump_json(exclude_defaults=True) + "\n")
        except ValidationError:
            bad += 1
    if bad:
        warnings.append(f"{bad:,} annotations were not kept: they are invalid; use co.annotate")
    if more:
        warnings.append(f"the first {MAX_ANNOTATIONS:,} annotations were kept; {more:,} were not")
    return lines


def _masked(value: object, mask: Mask) -> object:
    return mask.text(value) if isinstance(value, str) else value
