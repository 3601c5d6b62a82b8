"""What holds for the whole suite."""

from conducto_local.dispositions import reset_dispositions

# Tests send signals to the programs that they start, which inherit what this process ignores: all
# of them fail where the suite runs under nohup or in the background.
reset_dispositions()
