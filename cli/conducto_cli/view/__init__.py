"""Views of pipelines in a terminal: live view, tree, report, session."""
