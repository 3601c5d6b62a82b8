"""The AWS installation, as CDK stacks. `infra/main.py` is what ``cdk`` runs."""
