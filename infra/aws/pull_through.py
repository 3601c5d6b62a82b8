"""Pull-through caches: ECR fetches an image of another registry once, workers pull it from ECR."""

import json

from aws_cdk import Stack
from aws_cdk import aws_ecr as ecr

from infra.settings import Settings

#: Permissions for pulling through a cache, in addition to those for pulling any image.
IMPORT = ("ecr:BatchImportUpstreamImage", "ecr:CreateRepository")
_DAYS = 30
_ENCRYPTION = ecr.CfnRepositoryCreationTemplate.EncryptionConfigurationProperty(
    encryption_type="AES256"
)
#: Registries whose API host differs from the host in references.
_APIS = {"docker.io": "registry-1.docker.io"}
_FORGETTING = {
    "rules": [
        {
            "rulePriority": 1,
            "description": "expire old images; they are fetched again when needed",
            "selection": {
                "tagStatus": "any",
                "countType": "sinceImagePushed",
                "countUnit": "days",
                "countNumber": _DAYS,
            },
            "action": {"type": "expire"},
        }
    ]
}


def add_caches(stack: Stack, settings: Settings) -> tuple[str, list[str]]:
    """Add the configured caches to a stack.

    Returns:
        ``registry=where registry=where`` (`conducto_core.images.references.read_caches`), and the
            ARNs of the caches' repositories.
    """
    pairs, arns = [], []
    for number, (host, secret) in enumerate(settings.caches):
        prefix = f"{settings.prefix}/{host}"
        rule = ecr.CfnPullThroughCacheRule(
            stack,
            f"Cache{number}",
            ecr_repository_prefix=prefix,
            upstream_registry_url=_APIS.get(host, host),
            credential_arn=secret,
        )
        template = ecr.CfnRepositoryCreationTemplate(
            stack,
            f"CacheRepositories{number}",
            prefix=prefix,
            applied_for=["PULL_THROUGH_CACHE"],
            description=f"Conducto: images of {host}",
            encryption_configuration=_ENCRYPTION,
            lifecycle_policy=json.dumps(_FORGETTING),
        )
        rule.add_resource_dependency(template)
        where = f"{stack.account}.dkr.ecr.{stack.region}.{stack.url_suffix}/{prefix}"
        pairs.append(f"{host}={where}")
        arns.append(
            stack.format_arn(service="ecr", resource="repository", resource_name=f"{prefix}/*")
        )
    return " ".join(pairs), arns
