"""The cache of the cloud."""
