"""What the author API reads from Python code: annotations, argument values, sources, call sites."""
