"""The diagnosis of a pipeline: the causes of its failures, what changed, and the next steps."""
