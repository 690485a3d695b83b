"""How large the library is and how its rooms hang together, as docs/architecture.md gives it."""

from __future__ import annotations

import ast
from pathlib import Path

import grimp

PACKAGE = "tfkafka"
CLIENT = "confluent_kafka"


def edges(graph: grimp.ImportGraph) -> set[tuple[str, str]]:
    """Return the imports between the package's top packages and modules."""

    def room(module: str) -> str:
        return ".".join(module.split(".")[:2])

    pairs = {
        (room(importer), room(imported))
        for importer in graph.modules
        for imported in graph.find_modules_directly_imported_by(importer)
    }
    return {(a, b) for a, b in pairs if a != b and a.startswith(PACKAGE) and b.startswith(PACKAGE)}


def module_edges(graph: grimp.ImportGraph) -> int:
    """Return the number of imports between all modules."""
    return sum(
        imported.startswith(PACKAGE)
        for importer in graph.modules
        if importer.startswith(PACKAGE)
        for imported in graph.find_modules_directly_imported_by(importer)
    )


def statements() -> int:
    """Return the statements of the library without what is for tests."""
    files = [p for p in Path(PACKAGE).rglob("*.py") if "testing" not in p.parts]
    return sum(
        isinstance(node, ast.stmt)
        for path in files
        for node in ast.walk(ast.parse(path.read_text()))
    )


def main() -> None:
    graph = grimp.build_graph(PACKAGE, include_external_packages=True, cache_dir=None)
    outside = sorted(
        module
        for module in graph.find_modules_that_directly_import(CLIENT)
        if not module.startswith((f"{PACKAGE}.client", f"{PACKAGE}.testing"))
    )
    print(f"modules outside {PACKAGE}.client that import {CLIENT}: {len(outside)} {outside or ''}")
    print(f"imports between top packages and modules: {len(edges(graph))}")
    print(f"imports between all modules: {module_edges(graph)}")
    print(f"statements without testing: {statements():,}")


if __name__ == "__main__":
    main()
