"""A tree that is built by assignment, with paths and odd names."""

import conducto as co


def pipeline() -> co.Serial:
    root = co.Serial()
    root["build"] = co.Exec("make all")
    root["tests"] = co.Parallel()
    root["tests/unit"] = co.Exec("make test")
    root["tests/slow"] = co.Serial(stop_on_error=False)
    root["tests/slow/a b"] = co.Exec("sleep 1")
    root["tests/slow/x=1?"] = co.Exec("sleep 2")
    root["tests"]["/late"] = co.Exec("echo late")
    root["/deploy"] = co.Exec("echo 'it is out'")
    return root


if __name__ == "__main__":
    co.main(default=pipeline)
