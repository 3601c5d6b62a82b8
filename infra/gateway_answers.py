"""API Gateway's own answers, as problems: what an OpenAPI definition says of them."""

from typing import Any

from conducto.model.gateway import GATEWAY_PROBLEMS, PROBLEM_TYPE

#: Where an API's definition has them. A resource of its own would come after the deployment of the
#: API, which would go without it.
PROPERTY = "DefinitionBody.x-amazon-apigateway-gateway-responses"


def gateway_answers() -> dict[str, Any]:
    """Return the value of `PROPERTY`."""
    return {
        name: {
            "statusCode": problem.status,
            "responseParameters": {"gatewayresponse.header.Content-Type": f"'{PROBLEM_TYPE}'"},
            "responseTemplates": {"application/json": problem.model_dump_json(exclude_none=True)},
        }
        for name, problem in GATEWAY_PROBLEMS.items()
    }
