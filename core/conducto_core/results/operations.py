"""The operations that read results, metrics and artifacts."""

from conducto_core.api.operation import LinkClass, read
from conducto_core.results.model import (
    ArtifactList,
    CompareParams,
    MetricComparison,
    MetricList,
    MetricParams,
    OutputParams,
    ResultValue,
)

RESULT = read(
    "get_result",
    "/pipelines/{id}/result",
    OutputParams,
    ResultValue,
    "Return the result of an attempt: the return value of its function.",
    link_class=LinkClass.READ,
)
METRICS = read(
    "list_metrics",
    "/pipelines/{id}/metrics",
    MetricParams,
    MetricList,
    "Return the points of all metrics of an attempt.",
    link_class=LinkClass.READ,
)
COMPARE_METRICS = read(
    "compare_metrics",
    "/metrics",
    CompareParams,
    MetricComparison,
    "Return the metrics of the newest pipelines of a program.",
    link_class=LinkClass.READ,
)
ARTIFACTS = read(
    "list_artifacts",
    "/pipelines/{id}/artifacts",
    OutputParams,
    ArtifactList,
    "List the artifacts of an attempt, in the order in which they were declared.",
    link_class=LinkClass.READ,
)
