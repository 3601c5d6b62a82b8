"""The operation on coverage."""

from conducto_core.api.operation import LinkClass, read
from conducto_core.coverage.model import CoverageParams, CoverageReport

GET_COVERAGE = read(
    "get_coverage",
    "/pipelines/{id}/coverage",
    CoverageParams,
    CoverageReport,
    "Return the covered lines of a pipeline, and the difference from its base.",
    link_class=LinkClass.READ,
)
