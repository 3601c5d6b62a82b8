"""Events with a payload in the cloud."""
