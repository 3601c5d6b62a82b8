"""The operation that diagnoses a pipeline."""

from conducto_core.api.operation import LinkClass, read
from conducto_core.diagnosis.model import Diagnosis, DiagnosisParams

GET_DIAGNOSIS = read(
    "get_diagnosis",
    "/pipelines/{id}/diagnosis",
    DiagnosisParams,
    Diagnosis,
    "Return the causes of a pipeline's failures, what changed since it last passed, and next "
    "steps.",
    link_class=LinkClass.READ,
)
