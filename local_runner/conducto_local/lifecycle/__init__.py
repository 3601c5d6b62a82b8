"""The life of stored pipelines: sleep, retention, deletion, garbage collection."""
