"""Parameters that co.main gives to the root."""

import conducto as co


def pipeline(branch: str = "main") -> co.Serial:
    root = co.Serial(doc="About it.")
    root["a"] = co.Exec(f"git checkout {branch}")
    return root


if __name__ == "__main__":
    co.main(default=pipeline, cpu=2, mem=8, image="debian:12")
