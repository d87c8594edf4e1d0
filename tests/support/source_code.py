"""This module reads the source of a module as tests of names see it."""

from __future__ import annotations

import ast
from collections.abc import Iterator


def nodes_of(source: str) -> Iterator[ast.AST]:
    """Return every node of a module; its docstrings are empty."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            node.value.value = ""
    return ast.walk(tree)
