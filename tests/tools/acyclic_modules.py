"""A contract of import-linter: no modules import each other in a circle, by any import."""

from __future__ import annotations

from typing import TYPE_CHECKING

from importlinter import Contract, ContractCheck, fields, output
from importlinter.application import contract_utils

if TYPE_CHECKING:
    from grimp import ImportGraph


class AcyclicModules(Contract):
    """Folders are features, which may need each other; modules may not."""

    type_name = "acyclic_modules"
    root_packages = fields.ListField(subfield=fields.StringField())
    ignore_imports = fields.SetField(subfield=fields.ImportExpressionField(), required=False)

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        """Find the strongly connected parts of the graph."""
        contract_utils.remove_ignored_imports(
            graph=graph,
            ignore_imports=self.ignore_imports,
            unmatched_alerting=contract_utils.AlertLevel.ERROR,
        )  # type: ignore[arg-type]
        roots = set(self.root_packages)  # type: ignore[call-overload]
        needs = {
            module: [
                t
                for t in graph.find_modules_directly_imported_by(module)
                if t.split(".")[0] in roots
            ]
            for module in graph.modules
            if module.split(".")[0] in roots
        }
        # Repeatedly drop what nothing that is left needs, or needs nothing that is left.
        left = set(needs)
        while True:
            leaves = {m for m in left if not any(t in left and t != m for t in needs[m])}
            if not leaves:
                break
            left -= leaves
        return ContractCheck(kept=not left, metadata={"modules": sorted(left)})

    def render_broken_contract(self, check: ContractCheck) -> None:
        """Print the modules that are in, or above, a circle."""
        output.print_error("\n".join(check.metadata["modules"][:60]))
