"""Reading a YAML file: how large and how deep it may be, and what is wrong with one that cannot be read."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from objectives.errors import BadInput
from study.spec.yaml_node import TAG, Entry
from study.text import one_line

MAX_BYTES = 256 * 1024
MAX_DEPTH = 40
MAX_VALUES = 20_000


class _Loader(yaml.SafeLoader):
    """Builds nodes only, no objects; `1e-3` is a number, as in YAML 1.2, and nesting has an end."""

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            mark = self.get_mark()
            raise yaml.composer.ComposerError(None, None, "it is nested too deeply", mark)
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


_Loader.add_implicit_resolver(
    f"{TAG}float",
    re.compile(r"[-+]?[0-9][0-9_]*(\.[0-9_]*)?[eE][-+]?[0-9]+$"),
    list("-+0123456789"),
)


def read(path: Path) -> tuple[Entry, str, bytes]:
    """The file's outermost mapping, its text and its bytes; BadInput in one line for whatever is not that."""
    try:
        if not path.is_file():
            what = "it is not a plain file" if path.exists() else "there is no such file"
            raise BadInput(
                one_line(f"{path}: {what}; name a YAML file, such as study/specs/cpu.yaml")
            )
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise BadInput(
            one_line(f"{path}: {error.strerror}; name a file that can be read")
        ) from error

    def wrong(line: int, what: str, way_out: str) -> BadInput:
        return BadInput(one_line(f"{path}:{line}: {what}; {way_out}"))

    if len(data) > MAX_BYTES:
        raise wrong(1, f"it is larger than {MAX_BYTES // 1024} KiB", "a spec is a short YAML file")
    try:
        text = data.decode("utf-8-sig")
        node = yaml.compose(text, Loader=_Loader)
        if node is not None and _size(node, {}, ()) > MAX_VALUES:
            raise wrong(
                1, f"its aliases unfold to more than {MAX_VALUES:,} values", "write them out"
            )
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise wrong(line, "it is not UTF-8 text", "save it as UTF-8") from error
    except (ValueError, OverflowError) as error:  # an escape beyond Unicode
        raise wrong(1, f"not valid YAML: {error}", "check the escapes in quoted text") from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        what = f"not valid YAML: {error.problem or error.context}"
        raise wrong(
            mark.line + 1 if mark else 1, what, "check indentation, colons and quotes"
        ) from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise wrong(
            line, "it holds a character that YAML does not allow", "save it as plain text"
        ) from error
    if node is None:
        raise wrong(1, "it is empty", "start from study/specs/cpu.yaml")
    return Entry(str(path), node, node.start_mark.line + 1), text, data


def _size(node: yaml.Node, known: dict[int, int], above: tuple[int, ...]) -> int:
    """How many values a node unfolds to, its aliases written out."""
    if id(node) in above:
        raise yaml.composer.ComposerError(None, None, "an alias contains itself", node.start_mark)
    if id(node) not in known:
        below = node.value if isinstance(node, yaml.CollectionNode) else ()
        parts = [part for item in below for part in (item if isinstance(item, tuple) else (item,))]
        known[id(node)] = 1 + sum(_size(part, known, (*above, id(node))) for part in parts)
    return known[id(node)]
