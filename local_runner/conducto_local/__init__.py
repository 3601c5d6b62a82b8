"""The local runner: runs pipelines in containers on this machine, behind the API of the cloud."""
