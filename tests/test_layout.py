"""The shape of the code: scripts -> study -> objectives, one sentence at the head of each module, short scripts."""

import ast
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
MODULES = [
    path
    for folder in ("objectives", "study", "scripts", "tests")
    for path in sorted((REPOSITORY / folder).glob("*.py"))
]
MAY_IMPORT = {
    "objectives": {"objectives"},
    "study": {"objectives", "study"},
    "scripts": {"objectives", "study"},
    "tests": {"objectives", "study"},
}


def name_of(path: Path) -> str:
    return str(path.relative_to(REPOSITORY))


def imported(tree: ast.AST) -> set[str]:
    """The first part of every module that is imported, wherever in the file."""
    names = set()
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=aliases):
                names |= {alias.name.partition(".")[0] for alias in aliases}
            case ast.ImportFrom(module=module, level=0):
                names.add(str(module).partition(".")[0])
            case ast.ImportFrom():
                names.add("a relative import")
    return names


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_imports_go_one_way(path):
    ours = {*MAY_IMPORT, "a relative import"}
    assert imported(ast.parse(path.read_text())) & ours <= MAY_IMPORT[path.parent.name]


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_the_first_line_says_what_a_module_is(path):
    docstring = ast.get_docstring(ast.parse(path.read_text()))
    assert docstring
    assert docstring.splitlines()[0].endswith((".", "?", ":"))


@pytest.mark.parametrize("path", sorted((REPOSITORY / "scripts").glob("*.py")), ids=name_of)
def test_a_script_is_short(path):
    assert len(path.read_text().splitlines()) < 60
