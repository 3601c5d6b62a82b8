"""Deploying an installation to AWS: requests to the account, and programs on this machine."""
