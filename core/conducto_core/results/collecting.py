"""All outputs of a command, from the files that it left. No I/O."""

from collections.abc import Mapping

from conducto_core.annotations.stream import with_annotations
from conducto_core.command.masking import Mask
from conducto_core.coverage.files import with_coverage
from conducto_core.results.outputs import CollectedOutputs, collect
from conducto_core.test_results.junit import with_tests


def collect_outputs(files: Mapping[str, bytes], mask: Mask) -> CollectedOutputs:
    """Return the outputs of a command, as they are kept: masked and within the limits."""
    outputs = with_tests(collect(files, mask), files, mask)
    return with_annotations(with_coverage(outputs, files, mask), files, mask)
