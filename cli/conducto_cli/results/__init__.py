"""Results, metrics and artifacts."""
