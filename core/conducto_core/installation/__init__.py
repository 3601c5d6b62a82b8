"""An installation in AWS: names of resources, administration."""
