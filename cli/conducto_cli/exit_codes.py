"""What the exit codes of the commands mean; docs and ``--help`` read them here."""

DONE, FAILED, USAGE, NO_ENGINE, LEFT = 0, 1, 2, 3, 130

MEANINGS = {
    DONE: "done, or the action was performed",
    FAILED: "the pipeline ended in error or was killed, or the agent cannot be reached",
    USAGE: "wrong usage, an unknown pipeline or node, or a wrong definition",
    NO_ENGINE: "no container engine, not started, or no permission",
    LEFT: "left before the end, with Ctrl-C or q, or it was paused; the pipeline can continue",
}
#: The same in one line.
BRIEF = "0 done, 1 error or killed, 2 wrong usage or definition, 3 no container engine, 130 left"
