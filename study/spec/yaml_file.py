"""This module reads a YAML file that a person wrote, or says in one line why it cannot be read."""

from __future__ import annotations

from pathlib import Path

from objectives.errors import BadInput
from study.bounded_yaml import BadYaml, Flaw, compose, read_bytes
from study.spec.yaml_node import YamlEntry
from study.text import one_line

WAYS_OUT = {
    Flaw.NO_FILE: "name a YAML file, such as study/specs/cpu.yaml",
    Flaw.UNREADABLE: "name a file that can be read",
    Flaw.TOO_LARGE: "a spec is a short YAML file",
    Flaw.NOT_UTF8: "save it as UTF-8",
    Flaw.CHARACTER: "save it as plain text",
    Flaw.ESCAPE: "check the escapes in quoted text",
    Flaw.SYNTAX: "check indentation, colons and quotes",
    Flaw.UNFOLDS: "write them out",
}


def read_yaml(path: Path, content: bytes | None = None) -> tuple[YamlEntry, str, bytes]:
    """Return the file's outermost mapping, its text and its bytes.

    Args:
        path: The file.
        content: Its bytes, where it may have changed since they were read.

    Raises:
        BadInput: It cannot be read; the error is one line.
    """
    try:
        data = read_bytes(path, links=True) if content is None else content
        node = compose(data, aliases=True)
    except BadYaml as error:
        line = None if error.flaw in (Flaw.NO_FILE, Flaw.UNREADABLE) else error.line
        is_yaml = error.flaw not in (Flaw.SYNTAX, Flaw.ESCAPE)
        what = error.what if is_yaml else f"not valid YAML: {error.what}"
        sentence = one_line(f"{what}; {WAYS_OUT[error.flaw]}")
        raise BadInput(sentence, str(path), line) from error
    if node is None:
        raise BadInput("it is empty; start from study/specs/cpu.yaml", str(path), 1)
    return YamlEntry(str(path), node, node.start_mark.line + 1), data.decode("utf-8-sig"), data
