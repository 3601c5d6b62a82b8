"""Events with a payload on this machine."""
