"""A contract of import-linter: no module imports too many modules of the project."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from importlinter import Contract, ContractCheck, fields, output

if TYPE_CHECKING:
    from grimp import ImportGraph


class ImportLimit(Contract):
    """A module that imports more has several tasks; split it.

    Options:
        maximum: Maximum number of modules that a module imports.
        root_packages: The packages whose modules count.
        ignored: Modules without a maximum, such as one that only connects others.
    """

    type_name = "import_limit"

    maximum = fields.IntegerField()
    root_packages = fields.ListField(subfield=fields.StringField())
    ignored = fields.ListField(subfield=fields.StringField())

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        """Find the modules that import too many."""
        ours: Any = tuple(self.root_packages)
        ignored: Any = self.ignored
        counts = {
            module: sum(
                imported.split(".")[0] in ours
                for imported in graph.find_modules_directly_imported_by(module)
            )
            for module in graph.modules
            if module.split(".")[0] in ours and module not in ignored
        }
        maximum: Any = self.maximum
        wrong = {module: number for module, number in counts.items() if number > maximum}
        return ContractCheck(kept=not wrong, metadata={"wrong": wrong})

    def render_broken_contract(self, check: ContractCheck) -> None:
        """Name the modules, and the number that each imports."""
        for module, number in sorted(check.metadata["wrong"].items()):
            output.print_error(f"{module} imports {number} modules; split it")
