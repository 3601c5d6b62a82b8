"""The lifecycle of stored pipelines: sleep, retention, deletion, garbage collection."""
