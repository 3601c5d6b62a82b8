"""Deploying an installation to AWS: what is asked of the account and of this machine."""
