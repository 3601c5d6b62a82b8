"""The contexts of expressions, such as ``matrix`` and ``github``, and text that names them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from conducto_cli.import_github.expressions import Code, UntranslatedError, parts_of, plain
from conducto_cli.import_github.matrix import Matrix
from conducto_cli.import_github.script import identifier

if TYPE_CHECKING:
    from collections.abc import Mapping

    from conducto_cli.import_github.expressions import Text
    from conducto_cli.import_github.workflow import Item

#: ``{value of github: parameter of the script}``
EVENT = {
    "event_name": "event",
    "head_ref": "head_branch",
    "event.pull_request.head.ref": "head_branch",
    "branch": "branch",
    "base_ref": "base_branch",
    "tag": "tag",
    "event.release.tag_name": "tag",
    "actor": "user",
    "repository": "repository",
    "event.number": "number",
    "event.pull_request.number": "number",
    "event.pull_request.title": "title",
    "sha": "sha",
    "event.pull_request.head.sha": "sha",
}
_SHELL = {"github.sha": "$(git rev-parse HEAD)", "github.run_id": "$CONDUCTO_PIPELINE_ID"}
_CONSTANTS = {
    "github.workspace": "/mnt/conducto",
    "github.server_url": "https://github.com",
    "github.api_url": "https://api.github.com",
    "runner.os": "Linux",
    "runner.arch": "X64",
    "runner.temp": "/tmp",  # noqa: S108 - that of a container
}
_PROPOSALS = {
    "steps": "write the value to a file, which later commands of the job read",
    "needs": "return it from a Python function, and pass co.result(PATH) to the later node",
    "vars": "make it a parameter of the function",
    "secrets": "read the secret in a command, as a variable",
}


@dataclass(slots=True)
class Parameters:
    """Parameters that the function of the workflow needs.

    Attributes:
        known: ``{name: annotation and default}`` of some.
        workflow: Name of the workflow.
        refs: Those with the name of the branch or tag.
        reserved: Names that variables of a matrix cannot have.
        used: The same of those that expressions named.
    """

    known: Mapping[str, str]
    workflow: str = ""
    refs: tuple[str, ...] = ("branch",)
    reserved: frozenset[str] = frozenset()
    used: dict[str, str] = field(default_factory=dict)

    def code(self, name: str) -> Code:
        self.used[name] = self.known.get(name, 'str = ""')
        return Code.variable(name, boolean=self.used[name].startswith("bool"))

    def ref(self, *, whole: bool) -> Code:
        """Return the branch or tag of the event; the whole ref has its kind, too."""
        texts = [self.code(name).text for name in self.refs]
        if whole:
            kinds = {"tag": "refs/tags", "branch": "refs/heads"}
            texts = [f'{name} and f"{kinds[name]}/{{{name}}}"' for name in self.refs]
        return Code(" or ".join(texts), frozenset(self.refs))


@dataclass(frozen=True, slots=True)
class Context:
    """The values that expressions of a place may name.

    Attributes:
        parameters: Of the function of the workflow.
        matrix: Of the job.
        env: Variables of the environment, the nearest value of each.
        services: ``{name:port on a runner: address for a shell}`` of the services.
        secrets: Names of secrets that expressions named; they are added here.
    """

    parameters: Parameters
    matrix: Matrix
    env: Mapping[str, Item] = field(default_factory=dict)
    services: Mapping[str, str] = field(default_factory=dict)
    secrets: set[str] = field(default_factory=set)

    def within(self, env: Mapping[str, Item]) -> Context:
        """Return the context of a step: more variables, and its own set of secrets."""
        return replace(self, env={**self.env, **env}, secrets={*self.secrets})

    def text(self, text: str) -> Text:
        """Return text of the script with its expressions translated."""
        of_env = re.compile(r"\$\{\{\s*env\.(\w+)\s*\}\}")
        text = of_env.sub(lambda m: self.env[m[1]].text if m[1] in self.env else m[0], text)
        return parts_of(text, self.python)

    def resolved(self, text: str) -> list[str]:
        """Return text with the values of each combination of the matrix put in."""
        alone = [replace(self, matrix=Matrix([each])) for each in self.matrix.combinations]
        try:
            return [plain(context.text(text)) for context in alone]
        except UntranslatedError:
            return [text for _ in alone]

    def environment(self, env: Mapping[str, Item]) -> tuple[dict[str, Text], list[Text]]:
        """Return the variables of a node, and the lines of its command that set the others.

        Those are known only where the command runs: they contain secrets or addresses.
        """
        known: dict[str, Text] = {}
        exports: list[Text] = []
        names = {name.partition(":")[0] for name in self.services}
        given = {f"{prefix_of(each)}_{word}" for each in names for word in ("HOST", "PORT")}
        for name, item in env.items():
            value = item.text
            if name in given:  # a command has them anyway
                continue
            if value in {"localhost", "127.0.0.1"} and len(names) == 1:
                value = f"${{{{ job.services.{min(names)}.host }}}}"
            text = parts_of(self._addressed(value), self.shell)
            if not any(isinstance(part, Code) and part.in_shell for part in text):
                known[name] = text
            elif text != (Code(f"${name}", in_shell=True),):
                exports.append((f'export {name}="', *self._embedded(text, {}), '"'))
        return known, exports

    def script(self, text: str, env: dict[str, Text]) -> Text:
        """Return a script for a shell; ``env`` gets variables for values that it cannot contain."""
        return self._embedded(parts_of(self._addressed(text), self.shell), env)

    def _addressed(self, text: str) -> str:
        """Return text with expressions in place of the addresses of services on a runner."""
        for address in self.services:
            name, _, port = address.partition(":")
            host = rf"(?<![\w.-])(?:localhost|127\.0\.0\.1|{re.escape(name)}):{port}(?!\d)"
            text = re.sub(host, f"${{{{ job.services.{address}.address }}}}", text)
        return text

    def _embedded(self, text: Text, env: dict[str, Text]) -> Text:
        braces = any(set(part) & {*"{}"} for part in text if isinstance(part, str))
        made: list[str | Code] = []
        for index, part in enumerate(text):
            if isinstance(part, str):
                made.append(part)
                continue
            of_matrix = part.names <= {*self.matrix.variables.values()}
            if not part.in_shell and of_matrix and not braces:
                made.append(part)
                continue
            word = part.text
            if not part.in_shell:  # what an event contains could be a command: it is a variable
                name = f"{'MATRIX' if of_matrix else 'INPUT'}_{min(part.names).upper()}"
                while env.get(name, (part,)) != (part,) or name in self.env:
                    name += "_"
                env[name], word = (part,), f"${name}"
            after = plain(text[index + 1 : index + 2])
            if re.match(r"\w", after) and word[1:].isidentifier():
                word = f"${{{word[1:]}}}"
            line = plain(tuple(made)).rpartition("\n")[2]
            made.append(f"'\"{word}\"'" if _in_single_quotes(line) else word)
        return tuple(made)

    def shell(self, path: str) -> Code:
        """Return the counterpart of a value in a shell."""
        head, _, rest = path.partition(".")
        if head == "secrets" or path == "github.token":
            name = rest if head == "secrets" else "GITHUB_TOKEN"
            self.secrets.add(name)
            return Code(f"${name}", in_shell=True)
        if head == "env":
            return Code(f"${rest}", in_shell=True)
        if head == "job" and (found := re.match(r"services\.([\w-]+)(:\d+)?.*?(host)?$", rest)):
            if found[2]:
                return Code(self.services[found[1] + found[2]], in_shell=True)
            return Code(f"${prefix_of(found[1])}_{'HOST' if found[3] else 'PORT'}", in_shell=True)
        return Code(_SHELL[path], in_shell=True) if path in _SHELL else self.python(path)

    def python(self, path: str) -> Code:  # noqa: PLR0911 - a table of contexts
        """Return the counterpart of a value in the script."""
        head, _, rest = path.partition(".")
        constants = {**_CONSTANTS, "github.workflow": self.parameters.workflow}
        if path in constants:
            return Code.from_constant(constants[path])
        if head == "matrix":
            return self.matrix.code(rest)
        if head == "env" and rest in self.env:
            text = self.text(self.env[rest].text)
            codes = [part for part in text if isinstance(part, Code)]
            if len(codes) == len(text) == 1:
                return codes[0]
            if not codes:
                return Code.from_constant(plain(text))
        name = re.sub(r"^(github\.event\.)?inputs\.", "", path)
        if name != path:
            return self.parameters.code(identifier(name, set()))
        if path in {"github.ref", "github.ref_name"}:
            return self.parameters.ref(whole=path == "github.ref")
        if head == "github" and rest in EVENT:
            return self.parameters.code(EVENT[rest])
        proposal = _PROPOSALS.get(head, "write the value")
        raise UntranslatedError(f"{path} has no value when the script runs; {proposal}")


def _in_single_quotes(line: str) -> bool:
    """Return whether the end of a line of a shell is between single quotes."""
    quote = ""
    for character in re.sub(r"\\.", "", line):
        if character in {"'", '"'} and quote in {"", character}:
            quote = "" if quote else character
    return quote == "'"


def prefix_of(service: str) -> str:
    """Return the prefix of the variables with the address of a service."""
    return re.sub(r"\W", "_", service).upper()
