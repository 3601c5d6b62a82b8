"""A minimal reader of Dockerfiles: base images, and the requested frontend."""

import re
from collections.abc import Mapping

_DIRECTIVE = re.compile(r"^#\s*(\w+)\s*=\s*(.*?)\s*$")
_VARIABLE = re.compile(r"\$(?:(\w+)|\{(\w+)(?::?-([^}]*))?\})")
_HEREDOC = re.compile(r"<<-?[\"']?([A-Za-z_]\w*)[\"']?")
#: Frontends that the engine's own can replace.
_OFFICIAL_FRONTEND = re.compile(r"^(docker\.io/)?docker/dockerfile(:1(\.\d+)*)?$")
_UNRESOLVED = "\0"


def without_syntax(text: str) -> tuple[str, str | None]:
    """Return the Dockerfile without a ``syntax`` line for the official frontend, and its value.

    That line makes the engine fetch a frontend, which fails if the registry is unreachable,
    although the engine has the same frontend built in. The line is emptied, not removed, so that
    line numbers in messages stay correct.
    """
    lines = text.splitlines(keepends=True)
    for number, line in enumerate(lines):
        directive = _DIRECTIVE.match(line.rstrip("\r\n"))
        if directive is None:
            break
        is_syntax = directive[1].lower() == "syntax"
        if is_syntax and _OFFICIAL_FRONTEND.match(directive[2]):
            # A plain comment would end the block of directives and disable `escape` below.
            if number + 1 < len(lines) and _DIRECTIVE.match(lines[number + 1].rstrip("\r\n")):
                return "".join(lines[:number] + lines[number + 1 :]), directive[2]
            lines[number] = "\n"
            return "".join(lines), directive[2]
    return text, None


def base_references(text: str, build_args: Mapping[str, str]) -> tuple[str, ...]:
    """Return the base images of a Dockerfile, in order of first mention.

    These are the images of ``FROM`` and ``COPY --from``, without earlier stages, ``scratch``, and
    images that depend on an argument without a value.
    """
    known: dict[str, str] = {}
    stages: set[str] = {"scratch"}
    found: dict[str, None] = {}
    seen_from = False
    for words in _instructions(text):
        match words:
            case ["ARG", *pairs] if not seen_from:
                for pair in pairs:
                    name, _, default = pair.partition("=")
                    known[name] = build_args.get(name, _expand(default.strip("\"'"), known))
            case ["FROM", *rest]:
                seen_from = True
                plain = [word for word in rest if not word.startswith("--")]
                references = plain[:1]
                _note(references, known, stages, found)
                if len(plain) == 3 and plain[1].lower() == "as":  # noqa: PLR2004
                    stages.add(plain[2].lower())
            case ["COPY", *rest]:
                sources = [word[7:] for word in rest if word.startswith("--from=")]
                _note([one for one in sources if not one.isdigit()], known, stages, found)
            case _:
                pass  # runs inside the image
    return tuple(found)


def _note(
    references: list[str], known: Mapping[str, str], stages: set[str], found: dict[str, None]
) -> None:
    for reference in references:
        value = _expand(reference, known)
        if value and _UNRESOLVED not in value and value.lower() not in stages:
            found[value] = None


def _expand(text: str, known: Mapping[str, str]) -> str:
    def value(match: re.Match[str]) -> str:
        found = known.get(match[1] or match[2], "")
        return found or match[3] or _UNRESOLVED

    return _VARIABLE.sub(value, text)


def _instructions(text: str) -> list[list[str]]:
    joined = re.sub(r"[\\`][ \t]*\r?\n", " ", text)
    result = []
    open_heredocs: list[str] = []
    for line in joined.splitlines():
        if open_heredocs:
            if line.strip() == open_heredocs[0]:
                del open_heredocs[0]
            continue
        words = line.split()
        if words and not words[0].startswith("#"):
            result.append([words[0].upper(), *words[1:]])
            if words[0].upper() in ("RUN", "COPY", "ADD"):
                open_heredocs = [match[1] for match in _HEREDOC.finditer(line)]
    return result
