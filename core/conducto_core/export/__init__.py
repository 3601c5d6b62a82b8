"""A pipeline as one HTML file."""
