"""The tree of a pipeline with all inherited values resolved."""
