"""Scripts that define pipelines: their methods, arguments, flags and error reports."""
