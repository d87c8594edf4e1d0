"""YAML is read within bounds that PyYAML lacks: of size, of depth, of what aliases unfold to."""

from __future__ import annotations

import re
from contextlib import suppress
from enum import Enum, auto
from pathlib import Path

import yaml

MAX_BYTES = 256 * 1024
MAX_DEPTH = 40
MAX_VALUES = 20_000
# what is missing where something begins, by what PyYAML was reading
LACKS = {
    "while scanning a quoted scalar": "a quote opens here and does not close",
    "while parsing a flow sequence": "the [ that opens here lacks a comma, or its ]",
    "while parsing a flow mapping": "the { that opens here lacks a comma, or its }",
    "while scanning a simple key": "a key has no colon with a space behind it",
}
MISPLACED = ("'<block mapping start>'", "mapping values are not allowed here")


class Flaw(Enum):
    """A flaw keeps a file from being read."""

    NO_FILE = auto()
    UNREADABLE = auto()
    TOO_LARGE = auto()
    NOT_UTF8 = auto()
    CHARACTER = auto()  # one that YAML does not allow
    ESCAPE = auto()  # one beyond Unicode, in quoted text
    SYNTAX = auto()  # also nesting that is too deep, and an alias that may not be
    UNFOLDS = auto()  # its aliases, to too many values
    VALUE = auto()  # a value is not of the type that its tag states


class BadYaml(Exception):
    """This file cannot be read.

    Args:
        flaw: Why not, for the code.
        what: Why not, for a person, without the file's name and a way out.
        line: Where, from 1.
    """

    def __init__(self, flaw: Flaw, what: str, line: int = 1) -> None:
        super().__init__(what)
        self.flaw, self.what, self.line = flaw, what, line


class _Dumped(yaml.SafeLoader):
    """This loader reads what PyYAML has written: it has no aliases, and its nesting has an end."""

    aliases = False
    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        self.depth += 1
        if not self.aliases and self.check_event(yaml.AliasEvent):
            what = "it has an alias (*name)"
            raise yaml.composer.ComposerError(None, None, what, self.get_mark())
        if self.depth > MAX_DEPTH:
            what = "it is nested too deeply"
            raise yaml.composer.ComposerError(None, None, what, self.get_mark())
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


class _Handwritten(_Dumped):
    """This loader reads what people write: with aliases, and `1e-3` is a number, as in YAML 1.2."""

    aliases = True


_Handwritten.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?[0-9][0-9_]*(\.[0-9_]*)?[eE][-+]?[0-9]+$"),
    list("-+0123456789"),
)


def read_bytes(path: Path, *, links: bool) -> bytes:
    """Read a plain file of at most 256 KiB.

    Args:
        links: Whether the file may be a symbolic link.

    Raises:
        BadYaml: It is no plain file that can be read, or too large.
    """
    try:
        is_link = path.is_symlink() and not links
        if is_link or not path.is_file():
            if is_link or path.exists():
                raise BadYaml(Flaw.NO_FILE, "it is not a plain file")
            raise BadYaml(Flaw.NO_FILE, "there is no such file")
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise BadYaml(Flaw.UNREADABLE, str(error.strerror)) from error
    if len(data) > MAX_BYTES:
        raise BadYaml(Flaw.TOO_LARGE, f"it is larger than {MAX_BYTES // 1024} KiB")
    return data


def compose(data: bytes, *, aliases: bool) -> yaml.Node | None:
    """Parse the only document of a file, without making objects of it; None where it is empty.

    Args:
        aliases: Whether it is written by hand, with aliases; else it is as PyYAML writes it.

    Raises:
        BadYaml: It is no YAML, or unfolds to too much.
    """
    text = ""
    try:
        text = data.decode("utf-8-sig")
        node = yaml.compose(text, Loader=_Handwritten if aliases else _Dumped)
        if node is not None and _size(node, {}, ()) > MAX_VALUES:
            raise BadYaml(Flaw.UNFOLDS, f"its aliases unfold to more than {MAX_VALUES:,} values")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise BadYaml(Flaw.NOT_UTF8, "it is not UTF-8 text", line) from error
    except (ValueError, OverflowError) as error:
        raise BadYaml(Flaw.ESCAPE, str(error)) from error
    except yaml.MarkedYAMLError as error:
        raise _syntax(error, text) from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        what = "it holds a character that YAML does not allow"
        raise BadYaml(Flaw.CHARACTER, what, line) from error
    return node


def construct(node: yaml.Node | None) -> object:
    """Make plain Python values of a document.

    Raises:
        BadYaml: A value is not of its type.
    """
    if node is None:
        return None
    try:
        return yaml.constructor.SafeConstructor().construct_document(node)
    except yaml.MarkedYAMLError as error:
        raise _syntax(error) from error
    except (ArithmeticError, AttributeError, LookupError, RecursionError, ValueError) as error:
        raise BadYaml(Flaw.VALUE, "a value is not of its type") from error


def _syntax(error: yaml.MarkedYAMLError, text: str = "") -> BadYaml:
    """Return what is wrong, with the line where what is broken begins: it may show far below."""
    mark, began = error.problem_mark or error.context_mark, error.context_mark
    what, line = str(error.problem or error.context), mark.line + 1 if mark else 1
    before = _token_before(text, mark.index) if mark else None
    if began and began.line + 1 < line and (lack := LACKS.get(str(error.context))):
        return BadYaml(Flaw.SYNTAX, f"{lack}, which shows in line {line}", began.line + 1)
    if before and before.end_mark.line + 1 == line and _is_long_quote(before):
        what = f"the quote that opens here closes in line {line}"
        return BadYaml(Flaw.SYNTAX, what, before.start_mark.line + 1)
    if before and (above := before.start_mark.line + 1) < line and what.endswith(MISPLACED):
        what = f"it is indented unlike what stands above it, in line {above}"
    return BadYaml(Flaw.SYNTAX, what, line)


def _is_long_quote(token: yaml.Token) -> bool:
    is_quote = isinstance(token, yaml.ScalarToken) and token.style in ("'", '"')
    return is_quote and token.start_mark.line < token.end_mark.line


def _token_before(text: str, index: int) -> yaml.Token | None:
    """Return the last token that begins before a character of a text."""
    last = None
    with suppress(yaml.YAMLError):
        for token in yaml.scan(text):
            if token.start_mark.index >= index:
                break
            last = token
    return last


def _size(node: yaml.Node, sizes: dict[int, int], above: tuple[int, ...]) -> int:
    """Count the values that a node unfolds to, its aliases written out."""
    if id(node) in above:
        raise yaml.composer.ComposerError(None, None, "an alias contains itself", node.start_mark)
    if id(node) not in sizes:
        below = node.value if isinstance(node, yaml.CollectionNode) else ()
        parts = [part for item in below for part in (item if isinstance(item, tuple) else (item,))]
        sizes[id(node)] = 1 + sum(_size(part, sizes, (*above, id(node))) for part in parts)
    return sizes[id(node)]
