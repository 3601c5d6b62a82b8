"""``conducto completion SHELL``: the script that a shell completes the command with.

The scripts contain no commands: they call `conducto_cli.app.completion` for each word.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from conducto_cli.app.exit import DONE

if TYPE_CHECKING:
    import argparse

    from conducto_cli.app.arguments import Parser


# A candidate that ends in "/" is a group, where the next name follows without a blank.
_BASH = r"""
_conducto() {
    local IFS=$'\n'
    COMPREPLY=($(conducto complete-words --line "${COMP_LINE:0:COMP_POINT}" 2>/dev/null))
    [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == */ ]] && compopt -o nospace
    return 0
}
complete -o default -F _conducto conducto
"""
_ZSH = r"""
_conducto() {
    local -a found groups others
    found=("${(@f)$(conducto complete-words -- "${(@Q)words[2,CURRENT]}" 2>/dev/null)}")
    groups=(${(M)found:#*/})
    others=(${found:#*/})
    (( ${#groups} )) && compadd -S '' -a groups
    (( ${#others} )) && compadd -a others
    (( ${#groups} + ${#others} )) || _files
}
(( $+functions[compdef] )) || { autoload -Uz compinit && compinit }
compdef _conducto conducto
"""
_FISH = r"""
function __conducto_words
    conducto complete-words -- (commandline -opc)[2..] (commandline -ct) 2>/dev/null
end
complete -c conducto -a '(__conducto_words)'
"""
_SCRIPTS = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}


def add_arguments(parser: Parser) -> None:
    parser.add_argument("shell", choices=tuple(_SCRIPTS), metavar="|".join(_SCRIPTS))


def run(arguments: argparse.Namespace) -> int:
    print(_SCRIPTS[arguments.shell].strip())
    return DONE
