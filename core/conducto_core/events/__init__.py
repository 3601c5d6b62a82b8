"""Events with a payload: what fires a trigger, and the parameters that it gives to a program."""
