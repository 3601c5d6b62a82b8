"""Definitions that are refused."""

import conducto as co


def twice() -> co.Serial:
    with co.Serial() as root:
        co.Exec("true", name="a")
        co.Exec("true", name="a")
    return root


def no_parent() -> co.Serial:
    root = co.Serial()
    root["a/b"] = co.Exec("true")
    return root


def outside() -> co.Serial:
    co.Exec("true", name="a")
    return co.Serial()


def unknown() -> co.Serial:
    return co.Serial(cpuu=2)


def number_in_env() -> co.Serial:
    root = co.Serial()
    root["a"] = co.Exec("true", env={"A": 1})
    return root


def two_images() -> co.Serial:
    return co.Serial(image=co.Image("a", dockerfile="b"))


def not_a_node() -> co.Serial:
    return 5


def raises() -> co.Serial:
    raise ValueError("mine")


def number(n: int):
    return n


if __name__ == "__main__":
    co.main()
