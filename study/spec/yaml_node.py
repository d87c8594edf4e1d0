"""Values of a YAML file are typed by hand: no library names file, line and way out at once."""

from __future__ import annotations

import collections.abc
import math
import types
import typing
from collections.abc import Iterable, Sequence
from dataclasses import MISSING, dataclass, fields, is_dataclass
from enum import StrEnum
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import yaml

from objectives.allocation import Scalar
from objectives.errors import BadInput
from objectives.plain_data.ranges import Range
from study.text import cut, meant, one_line

TAG = "tag:yaml.org,2002:"
TYPE_NAMES = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}
ANY = Range(-math.inf, math.inf)
LONGEST = 600  # characters of what is wrong and of the way out: both may quote the file


@dataclass(frozen=True, slots=True)
class YamlEntry:
    """An entry is one value of the file: where it stands and what its key is called.

    Args:
        file: The name of the file, for messages.
        node: The value as PyYAML composed it.
        line: Its line, from 1.
        path: Its keys from the top.
    """

    file: str
    node: yaml.Node
    line: int
    path: tuple[str, ...] = ()

    def wrong(self, what: str, way_out: str) -> BadInput:
        """Return the error that says what is wrong with this value, in one line."""
        key = f"{cut('.'.join(self.path), 200)}: " if self.path else ""
        words = "; ".join(cut(w, LONGEST) for w in (what, way_out))
        return BadInput(one_line(key + words), self.file, self.line)

    def refuse_beside(self, other: YamlEntry) -> None:
        """Refuse a value that stands in another place too.

        Raises:
            BadInput: The file has both.
        """
        if self.is_present and other.is_present:
            raise self.wrong(f"{'.'.join(other.path)} says it too", "remove one")

    def unknown(self, names: Iterable[str]) -> BadInput:
        """Return the error for a key that nobody reads, with the name that was probably meant."""
        return self.wrong("unknown key", meant(self.path[-1], names))

    def only(self, allowed: Iterable[str], own: Iterable[str] | None = None) -> None:
        """Refuse the first key that is not allowed.

        Args:
            own: The keys worth proposing instead.
        """
        names = list(allowed)
        for name, entry in self.items().items():
            if name not in names:
                raise entry.unknown(own or names)

    @property
    def is_present(self) -> bool:
        """Say whether the file has this value (see `at`)."""
        return self.node.start_mark is not None

    @property
    def is_list(self) -> bool:
        """Say whether the value is a list."""
        return isinstance(self.node, yaml.SequenceNode)

    @property
    def is_mapping(self) -> bool:
        """Say whether the value is a mapping."""
        return isinstance(self.node, yaml.MappingNode)

    @property
    def is_null(self) -> bool:
        """Say whether the value is empty."""
        return isinstance(self.node, yaml.ScalarNode) and self.node.tag == f"{TAG}null"

    @property
    def text(self) -> str:
        """Return a single value as it is written; empty for a list or mapping."""
        return str(self.node.value) if isinstance(self.node, yaml.ScalarNode) else ""

    @property
    def quotation(self) -> str:
        """Return the value as a message quotes it."""
        if self.is_null and not self.text:
            return "nothing"
        if isinstance(self.node, yaml.ScalarNode):
            text = self.node.value if len(self.node.value) <= 60 else f"{self.node.value[:57]}..."
            return repr(text) if self.node.tag == f"{TAG}str" or not text else text
        return "a list" if self.is_list else "a mapping"

    def at(self, *keys: str) -> YamlEntry:
        """Return the value below these keys.

        Where it is absent, that is its name with the line of what would hold it.
        """
        here = self
        for key in keys:
            entry = here.items().get(key) if here.is_mapping else None
            here = entry or YamlEntry(
                here.file, yaml.ScalarNode(f"{TAG}null", ""), here.line, (*here.path, key)
            )
        return here

    def items(self) -> dict[str, YamlEntry]:
        """Return the mapping's values by key, merged ones (`<<`) behind its own."""
        if not isinstance(self.node, yaml.MappingNode):
            raise self.wrong(
                f"{self.quotation} is not a mapping", "write `key: value` lines below it"
            )
        own: dict[str, YamlEntry] = {}
        merged: dict[str, YamlEntry] = {}
        for key, value in self.node.value:
            line = key.start_mark.line + 1
            if key.tag == f"{TAG}merge":
                sources = value.value if isinstance(value, yaml.SequenceNode) else [value]
                for source in sources:
                    merged = YamlEntry(self.file, source, line, self.path).items() | merged
                continue
            if not isinstance(key, yaml.ScalarNode):
                raise YamlEntry(self.file, key, line, self.path).wrong(
                    "a key is not text", "write `key: value`"
                )
            entry = YamlEntry(self.file, value, line, (*self.path, key.value))
            if key.value in own:
                raise entry.wrong(
                    f"the key is here twice, first in line {own[key.value].line}", "remove one"
                )
            own[key.value] = entry
        return merged | own

    def entries(self) -> list[YamlEntry]:
        """Return the mapping's values; none where the value is something else, or absent."""
        return list(self.items().values()) if self.is_mapping else []

    def elements(self) -> list[YamlEntry]:
        """Return the list's values, under the list's own name."""
        if not isinstance(self.node, yaml.SequenceNode):
            raise self.wrong(f"{self.quotation} is not a list", "write [a, b, ...]")
        return [YamlEntry(self.file, n, n.start_mark.line + 1, self.path) for n in self.node.value]

    def scalar(self) -> Scalar | None:
        """Return the single value; a date stays text, NaN and infinity are refused."""
        if not isinstance(self.node, yaml.ScalarNode):
            raise self.wrong(
                f"{self.quotation} stands where a single value belongs", "write one value"
            )
        text: str = self.node.value
        try:
            match self.node.tag.removeprefix(TAG):
                case "str" | "timestamp" | "value" | "merge":
                    return text
                case "null":
                    return None
                case "bool" if text.lower() in ("true", "yes", "on", "false", "no", "off"):
                    return text.lower() in ("true", "yes", "on")
                case "int" if abs(whole := int(text.replace("_", ""), 0)) < 2**63:
                    return whole
                case "float" if math.isfinite(number := float(text.replace("_", ""))):
                    return number
        except ValueError as error:
            raise self.wrong(
                f"{self.quotation} is no number", "write a plain decimal, or quote text"
            ) from error
        raise self.wrong(
            f"{self.quotation} is no finite number or plain text", "write a plain value, untagged"
        )

    def build(self, kind: Any, within: Range = ANY) -> Any:
        """Build a frozen dataclass, tuple, Mapping, enum, Literal, optional or plain type.

        Args:
            within: The lowest and highest number allowed, where `kind` is not `Annotated` with one.
        """
        if get_origin(kind) is Annotated:
            kind, within = get_args(kind)
        arguments = get_args(kind)
        match get_origin(kind):
            case None:
                return self._dataclass(kind) if is_dataclass(kind) else self._single(kind, within)
            case types.UnionType | typing.Union:  # one type from Python 3.14 on
                if self.is_null:
                    return None
                return self.build(next(a for a in arguments if a is not types.NoneType), within)
            case collections.abc.Mapping:
                return {k: v.build(arguments[1], within) for k, v in self.items().items()}
            case origin if origin is Literal:
                return self._one_of(arguments)
        elements = self.elements()
        if arguments[-1] is not ... and len(elements) != len(arguments):
            raise self.wrong(
                f"the list has {len(elements)} values", f"write {len(arguments)} of them"
            )
        return tuple(e.build(arguments[0], within) for e in elements)

    def _one_of(self, known: Sequence[Any]) -> Scalar | None:
        if (value := self.scalar()) not in known:
            raise self.wrong(f"{self.quotation} is not known", meant(str(value), known))
        return value

    def _dataclass(self, kind: Any) -> Any:
        entries, hints = self.items(), get_type_hints(kind, include_extras=True)
        self.only(hints)
        for f in fields(kind):
            if f.name not in entries and f.default is MISSING and f.default_factory is MISSING:
                raise self.at(f.name).wrong("it is missing", f"add `{f.name}:`")
        return kind(**{name: value.build(hints[name]) for name, value in entries.items()})

    def _single(self, kind: type, within: Range) -> Scalar:
        if issubclass(kind, StrEnum):
            return kind(str(self._one_of([*map(str, kind)])))
        value = self.scalar()
        if kind is float and type(value) is int:
            value = float(value)
        if value is None or type(value) is not kind:
            way_out = f"write {TYPE_NAMES[kind]}" + (
                ", in quotes" if kind is str and value is not None else ""
            )
            raise self.wrong(f"{self.quotation} is not {TYPE_NAMES[kind]}", way_out)
        if isinstance(value, int | float) and not within.low <= value <= within.high:
            way_out = f"write a number from {within.low:g} to {within.high:g}"
            raise self.wrong(f"{self.quotation} is out of range", way_out)
        return value
