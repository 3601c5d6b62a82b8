"""The compiler to Step Functions, and the machine that follows its executions."""
