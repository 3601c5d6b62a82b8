"""The operation on annotations."""

from conducto_core.annotations.model import AnnotationList, AnnotationParams
from conducto_core.api.operation import LinkClass, read

LIST_ANNOTATIONS = read(
    "list_annotations",
    "/pipelines/{id}/annotations",
    AnnotationParams,
    AnnotationList,
    "List the annotations of a pipeline: of commands, failed tests, and output of failed commands.",
    link_class=LinkClass.READ,
)
