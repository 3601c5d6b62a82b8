"""The AWS installation as CDK stacks; ``cdk`` runs `infra/main.py`."""
