"""The running and the waiting commands of all pipelines."""
