"""The compiler from the residual tree to Step Functions state machines."""
