"""The parameters of a node that are kept in its environment variables, and ``env`` itself."""

# ruff: noqa: PLC0415  imports wait until they are needed.

from __future__ import annotations

from conducto.wire.launching import LAUNCH

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, List, Optional, Sequence, Union

#: Environment variable of a node that has the parameter ``isolate``.
ISOLATE = "CONDUCTO_ISOLATE"
#: That of a node with ``junit`` (`conducto.wire.junit`).
JUNIT = "CONDUCTO_JUNIT"
COVERAGE = "CONDUCTO_COVERAGE"


class EnvParams:
    """The parameters of a node that are kept in `env`."""

    __slots__ = ("_env",)
    _env: Optional[Dict[str, str]]

    @property
    def env(self) -> Dict[str, str]:
        """``{name: value}`` of this node; children inherit it, the nearest value wins."""
        if self._env is None:
            self._env = {}
        return self._env

    @env.setter
    def env(self, value: Optional[Dict[str, str]]) -> None:
        self._env = None if value is None else dict(value)

    @property
    def isolate(self) -> Optional[bool]:
        """Whether a Python function gets an interpreter of its own; inherited, False by default.

        Without it, calls of one file in a container may share its import. It is kept in `env`.
        """
        return self._switch(ISOLATE)

    @isolate.setter
    def isolate(self, value: Optional[bool]) -> None:
        self._set_switch("isolate", ISOLATE, value)

    @property
    def may_launch(self) -> Optional[bool]:
        """Whether commands may launch pipelines; inherited, False by default.

        It is the parameter ``launch``, and kept in `env`.
        """
        return self._switch(LAUNCH)

    @may_launch.setter
    def may_launch(self, value: Optional[bool]) -> None:
        self._set_switch("launch", LAUNCH, value)

    @property
    def junit(self) -> Optional[List[str]]:
        """Patterns of the JUnit files that commands write, below their working directory.

        Inherited; an empty list ends an inherited one. It is kept in `env`.
        """
        return self._patterns(JUNIT)

    @junit.setter
    def junit(self, value: Union[str, Sequence[str], None]) -> None:
        self._set_patterns("junit", JUNIT, value)

    @property
    def coverage(self) -> Optional[List[str]]:
        """Patterns of the coverage files that commands write, below their working directory.

        Inherited; an empty list ends an inherited one. It is kept in `env`.
        """
        return self._patterns(COVERAGE)

    @coverage.setter
    def coverage(self, value: Union[str, Sequence[str], None]) -> None:
        self._set_patterns("coverage", COVERAGE, value)

    def _patterns(self, variable: str) -> Optional[List[str]]:
        value = None if self._env is None else self._env.get(variable)
        return None if value is None else value.split("\n") if value else []

    def _set_patterns(
        self, name: str, variable: str, value: Union[str, Sequence[str], None]
    ) -> None:
        if value is not None:
            from conducto.wire.junit import check_patterns

            self.env[variable] = "\n".join(check_patterns(value, name))
        elif self._env is not None:
            self._env.pop(variable, None)

    def _switch(self, variable: str) -> Optional[bool]:
        value = None if self._env is None else self._env.get(variable)
        return None if value is None else value == "1"

    def _set_switch(self, name: str, variable: str, value: Optional[bool]) -> None:
        if value is None:
            self.env.pop(variable, None)
        elif isinstance(value, bool):
            self.env[variable] = str(int(value))
        else:
            raise TypeError(f"{name} must be True or False, got {value!r}")
