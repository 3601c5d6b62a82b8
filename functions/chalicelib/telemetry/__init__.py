"""OpenTelemetry traces and metrics of pipelines."""
