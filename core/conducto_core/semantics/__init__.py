"""The semantics of a tree, written once.

Pure functions and one state machine over `conducto_core.model`; no clock, file, environment or
random number is read here. Both drivers, the local scheduler and the Step Functions compiler, ask
these modules for every decision.
"""
