"""Output: lines, search and outline, from stored bytes."""
