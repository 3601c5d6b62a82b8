"""How the text of a command is taken from its place in the script."""

import conducto as co


def pipeline() -> co.Serial:
    root = co.Serial()
    root["line"] = co.Exec("  echo kept")
    root["block"] = co.Exec(
        """
        set -e
        if true; then
            echo yes
        fi
        """
    )
    root["first"] = co.Exec(
        """set -ex
           echo one
             echo two
        """
    )
    root["heredoc"] = co.Exec(
        """
        cat > file <<EOF
        a
          b

        EOF
        cat file
        """
    )
    root["quotes"] = co.Exec('echo "it\'s" $HOME `date` \\n é ✓')
    return root


if __name__ == "__main__":
    co.main(default=pipeline)
