"""The diagnosis of pipelines on the command line."""
