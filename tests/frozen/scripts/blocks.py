"""A tree that is built in blocks; nodes without a name are not part of it."""

import conducto as co


def pipeline() -> co.Serial:
    with co.Serial() as root:
        co.Exec("echo first", name="first")
        co.Exec("echo never")
        with co.Parallel(name="both"):
            co.Exec("echo left", name="left")
            co.Exec("echo right", name="right")
        with co.Parallel():
            co.Exec("echo never", name="inner")
        for index in range(11):
            co.Exec(f"echo {index}", name=f"n{index}")
    return root


def lonely() -> co.Serial:
    with co.Serial() as root:
        co.Exec("echo never")
    return root


def single() -> co.Exec:
    return co.Exec("echo single")


if __name__ == "__main__":
    co.main(default=pipeline)
