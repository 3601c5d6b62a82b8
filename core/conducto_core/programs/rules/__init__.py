"""The identity of programs, continuation plans and comparisons. Pure."""
