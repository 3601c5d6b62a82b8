"""The operations on services."""

from conducto_core.api.operation import LinkClass, read
from conducto_core.services.model import ServiceOutput, ServiceOutputParams

SERVICE_OUTPUT = read(
    "read_service_output",
    "/pipelines/{id}/services",
    ServiceOutputParams,
    ServiceOutput,
    "Return the output of the services of an attempt.",
    link_class=LinkClass.READ,
)
