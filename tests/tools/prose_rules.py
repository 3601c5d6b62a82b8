"""Words and phrases to avoid in plain technical English, each with its remedy."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from conducto.version import DISTRIBUTION
from tools.prose_texts import TEST_NAME, Text

#: At most this share of the docstrings of a package may open with an interrogative.
MAX_OPENINGS = 0.08
_OPENING = re.compile(r"\s*(what|who|whom|whose|how|which|why)\b", re.IGNORECASE)

_BE = "(?:is|are|was|were|be|been|being)"
_QUESTION = r"(?![^.]*\?)"
_WHAT = r"\bwhat (?!is new\b|is a\b|is the\b|are the\b)"
_FINE_AFTER_NO = (
    "longer|more|less|fewer|other|way|need|reason|later|earlier|greater|larger|smaller|better|worse"
    "|one\\b|matter|different|such|newer|older"
)
_AFTER_THERE = ["", "can ", "may ", "might ", "will ", "would ", "must ", "has ", "had ", "still "]
_NOT_THERE = "".join(rf"(?<!\bthere\s{verb})" for verb in _AFTER_THERE).replace(" ", r"\s")
_PLACE = "(?! (?:a|an|the|this|that|its|one|each|any|order|seconds|total|all|[0-9])\\b)"

#: ``{remedy: patterns}``. A space matches any white space, and case does not matter.
RULES: dict[str, list[str]] = {
    # Clauses in place of a noun
    "name the thing instead of 'what'": [
        _WHAT + rf"(?:{_BE}|has|had|does|did|comes?|came|goes|went|runs?|ran)\b" + _QUESTION,
        _WHAT + r"(?:stands?|stood|follows|stays?|stayed|needs|needed|makes?|made)\b" + _QUESTION,
        _WHAT + r"(?:uses|used|holds?|held|belongs?|waits|differs|fails|failed)\b" + _QUESTION,
        _WHAT + r"(?:ends|ended|keeps|kept|gets|got|lies|leads|takes?|took|reads)\b" + _QUESTION,
        _WHAT + r"(?:says?|said|starts|started|may|might|can|cannot|could)\b" + _QUESTION,
        _WHAT + r"(?:must|should|will|would|there|of it|of them|of its)\b" + _QUESTION,
        r"\b(?:for|by|besides) what\b(?! (?:to|reason|purpose)\b)" + _QUESTION,
        r"\A\s*(?:returns?|yields?) what\b",
    ],
    "name the user, client or process": [
        r"(?:\A|[.:;(] )who(?:m|se)?\b" + _QUESTION,
        r"\b(?:of|for|to|by|from|with|and|or|as|than) who(?:m (?!it\b))?\b" + _QUESTION,
        r"\b(?:that|where|while|if|when|but|is|are|tells?) who\b" + _QUESTION,
        r"\bwho(?:m)?ever\b",
        r"\b(?:by|to|of|for|from|with|lets?|that|which) (?:no|every)body\b",
        r"\b(?:no|every)body's\b",
        r"\bof (?:somebody|someone) else\b|\b(?:somebody|someone) else's\b",
    ],
    "repeat the noun": [
        r"\b(?:the|that) ones? (?:that|which|who|of)\b",
        r"\bthat which\b",
    ],
    "say 'the owner of'": [r"\bwhose (?:a|an|the|it|they)\b"],
    "say which: 'previous', 'another installation's'": [r"\bof (?:before|then)\b"],
    "name the owner: Conducto, this installation, this agent": [r"\bours\b"],
    "say 'your', or name the owner": [r"\bone's\b"],
    "say 'no part of', or name the thing": [r"\bnothing of\b"],
    # States
    "say 'is not a ...', or what it is": [rf"{_NOT_THERE}\b{_BE} no (?!{_FINE_AFTER_NO})(?=[a-z])"],
    "say 'exists', 'is missing', 'is running'": [
        rf"\b{_BE} (?:not|not yet|already|still|no longer|never|also) there\b(?! {_BE}| an?)",
        rf"\b{_BE} there(?=[.,;)]|\Z)",
        r"\bthere is already\b",
    ],
    "say 'unreachable', 'offline', 'stopped'": [rf"\b{_BE} away\b(?! from)"],
    "say 'is', 'state', 'status' or 'is listed'": [
        r"\b(?<!in-)(?<!out)(?:stands?|stood)\b(?! (?:for|in|by|alone|out)\b)(?!-)",
        r"\bstanding\b(?!-)(?! (?:order|in|for)\b)",
    ],
    "say 'becomes idle' or 'finishes'": [r"\b(?:come|comes|came|coming) to rest\b"],
    "say 'deleted', 'stopped', 'lost' or 'expired'": [
        rf"\b(?:{_BE}|has|have|had) gone\b",
        r"\bgone\Z",
    ],
    "say 'started'": [r"\bbegun\b"],
    "say 'forever', 'without a limit' or 'never ends'": [r"\bfor ever\b"],
    "say 'available'": [rf"\b(?:to be|can be|cannot be|{_BE}) had\b"],
    # Verbs
    "say 'again', 're-...', 'rebuild' or 'recreate'": [r"\banew\b|\bafresh\b"],
    "say 'has' or 'carries'": [r"\bbears?\b|\bbore\b|\bborne\b"],
    "say 'launch' or 'start'": [r"\bhir(?:e|es|ed|ing)\b"],
    "say 'apply', 'follow' or 'execute'": [r"\bheeds?\b|\bobeys?\b|\bobeyed\b"],
    "say 'notified', 'reported', 'rejected with' or 'is shown'": [r"\btold\b(?! apart| from)"],
    "say 'documented', 'reported', 'an error names ...'": [
        rf"\b{_BE} said\b",
        r"\bsa(?:y|ys|id) so\b",
        r"(?:\A|[.;] )said\b",
    ],
    "say 'is notified', 'receives' or 'learns'": [r"\bhears?\b|\bheard\b"],
    "say 'checked', 'read' or 'requested'": [rf"\b{_BE} looked (?:at|after|for)\b"],
    "say 'requested' or 'searched'": [r"\bsought\b"],
    "say 'execute' or 'perform'": [r"\bcarr(?:y|ies|ied|ying) out\b"],
    "say 'continue'": [r"\bg(?:o|oes|oing|one) on\b(?! to\b)|\bwent on\b"],
    "say 'delay' or 'block'": [r"\bh(?:old|olds|eld|olding) up\b"],
    "say 'apply', 'undo' or 'revert'": [
        r"\b(?:take|takes|took|taken) (?:in|back)\b" + _PLACE,
    ],
    "say 'release'": [r"\b(?:let|lets|letting) go\b"],
    "say 'admit' or 'authenticate'": [r"\blet in\b|\blets? \w+ in\b" + _PLACE],
    "say 'archived'": [r"\bput away\b"],
    # Words of an earlier vocabulary
    "say 'pool' or 'workers'": [r"\bcrews?\b"],
    "say 'effect'": [r"\berrands?\b"],
    "say 'cache'": [r"\bshel(?:f|ves)\b"],
    "say 'heartbeat'": [r"\bpulses?\b"],
    "say 'timeout'": [r"\bpatience\b"],
    "say 'decision' or 'result'": [r"\bverdicts?\b"],
    "say 'environment' or 'execution context'": [r"\bsurroundings\b"],
    "say 'event', 'notification' or 'change'": [r"\bnews\b"],
    "say 'action' (an operation that a user requests)": [
        r"(?<!partial\s)\borders\b(?! of\b)",
        r"\b(?<!in\s)(?:an|each|another) order\b(?! of\b)",
    ],
    "say 'chunk' or 'part'": [r"\bpieces?\b(?! together)"],
    "say 'target' (local or cloud)": [
        r"\b(?:both|either|one|other|cloud|local|wrong|each) sides?\b",
    ],
    "say 'response' or 'result'": [
        r"\b(?:an|the|its|each|every|no|one|first|last|long|whole|any|that|this) answers?\b",
    ],
    # Archaic words
    "use the everyday word": [
        r"\b(?:lest|whence|thereof|therein|whereof|wherein|hitherto|thither|ere|amidst|whilst)\b"
    ],
    "say 'otherwise'": [r"(?:\A|[.;:] )(?-i:Else) (?!if\b)"],
    "say 'a number of' or 'that many times'": [
        r"\b(?:of|for) so many\b|\bso (?:many|often)(?=[.;:,)]|\Z)",
    ],
    "say 'visible' or 'shown'": [r"\bto be seen\b"],
    "say 'about'": [r"\bsome [0-9]"],
    "say 'all'": [r"\bevery(?:thing)? there is\b|\ball there is\b"],
    "say 'maximum'": [
        r", at most\.?\Z",
        r"\Amost (?!of|recent|likely|significant|users|people|systems|errors)[a-z]+s\b",
    ],
}
#: The same for names of tests, which read as facts: "page reconnects after agent restart".
NAME_RULES: dict[str, list[str]] = {
    "name the thing instead of 'what'": [r"\bwhat(?:ever)?\b(?! happens)"],
    "state a fact: subject, verb, object": [
        r"^(?:nor|and|or|but|of|that|so|else|whose|which|who|why)\b",
    ],
    "name the thing instead of 'one'": [
        r"^(?:an? |the )?ones? (?:that|which|who|is|was|too|in|on|at|by|with|without|may|can)\b",
    ],
    "name the user, client or process": [
        r"\b(?:he|she|oneself|somebody|someone|nobody|everybody)\b"
    ],
}


@dataclass(frozen=True)
class Finding:
    """A place where a text breaks a rule."""

    path: str
    line: int
    kind: str
    found: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.kind}: {self.found!r}: {self.remedy}"


#: A command that installs the distribution ``conducto`` of an index, which another publisher owns.
_FOREIGN_INSTALL = re.compile(
    r"\b(?:pip3?|pipx|uvx?|poetry)(?:\s+(?:install|run|add|tool|pip|download|inject))*"
    r"(?:\s+-[-\w]+(?:=\S+)?)*\s+[\"'`\\]*conducto(?![-_/\w])"
)


def foreign_installs(path: str, source: str) -> Iterator[Finding]:
    """Yield the commands in a file that install another publisher's ``conducto``."""
    for match in _FOREIGN_INSTALL.finditer(source):
        line = source.count("\n", 0, match.start()) + 1
        yield Finding(path, line, "install", match[0], f"the distribution is {DISTRIBUTION}")


def _compiled(rules: dict[str, list[str]]) -> list[tuple[re.Pattern[str], str]]:
    flags = re.IGNORECASE
    return [
        (re.compile("|".join(patterns).replace(" ", r"\s+"), flags), remedy)
        for remedy, patterns in rules.items()
    ]


_RULES = _compiled(RULES)
_RULES_OF_NAMES = [*_RULES, *_compiled(NAME_RULES)]


def findings(text: Text) -> Iterator[Finding]:
    """Yield the findings in a text, at most one for each place."""
    rules = _RULES_OF_NAMES if text.kind == TEST_NAME else _RULES
    matches = [(m, remedy) for pattern, remedy in rules for m in pattern.finditer(text.text)]
    end = -1
    for match, remedy in sorted(matches, key=lambda found: found[0].start()):
        if match.start() >= end:
            end = match.end()
            before, after = text.text[: match.start()].split(), text.text[end:].split()
            found = " ".join([*before[-4:], *match[0].split(), *after[:4]])
            yield Finding(text.path, text.line_at(match.start()), text.kind, found, remedy)


def opens_with_interrogative(docstring: str) -> bool:
    """Return whether a docstring opens with what, who, how or which instead of a verb or a noun."""
    return _OPENING.match(docstring) is not None
