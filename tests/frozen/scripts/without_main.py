"""A script that defines a pipeline and does not call co.main."""

import conducto as co


def pipeline() -> co.Serial:
    root = co.Serial()
    root["a"] = co.Exec("true")
    return root
