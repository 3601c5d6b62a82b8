"""The operations on tests and quarantines."""

from conducto_core.api.operation import LinkClass, Permission, act, read, send
from conducto_core.run.model.params import PipelineParams
from conducto_core.test_results.model import (
    PipelineTestParams,
    PipelineTests,
    ProgramTestParams,
    ProgramTests,
    Quarantine,
    QuarantineParams,
    QuarantineRequest,
)

PIPELINE_TESTS = read(
    "list_pipeline_tests",
    "/pipelines/{id}/tests",
    PipelineTestParams,
    PipelineTests,
    "List the tests of a pipeline, failures first.",
    link_class=LinkClass.READ,
)
PROGRAM_TESTS = read(
    "list_program_tests",
    "/pipelines/{id}/program-tests",
    ProgramTestParams,
    ProgramTests,
    "Return the history of the tests of a pipeline's program, and their quarantines.",
    link_class=LinkClass.READ,
)
QUARANTINE = send(
    "quarantine_test",
    "PUT /pipelines/{id}/quarantines",
    PipelineParams,
    QuarantineRequest,
    Quarantine,
    Permission.CHANGE_STATE,
    "Do not count the failures of a test of the pipeline's program until a date.",
    link_class=LinkClass.AUTHOR,
)
END_QUARANTINE = act(
    "end_quarantine",
    "DELETE /pipelines/{id}/quarantines/{name}",
    QuarantineParams,
    Quarantine,
    Permission.CHANGE_STATE,
    "End the quarantine of a test: its failures count again.",
    link_class=LinkClass.AUTHOR,
)
