"""The header of a GGUF file has its metadata, and tells how many bytes of weights follow.

It is read here, within bounds: the package `gguf` maps the file and makes an array of every entry
of the vocabulary, trusts the counts of the header, and brings numpy, tqdm and requests along.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from objectives.errors import SetupError
from objectives.model_files.json_file import AGAIN
from objectives.plain_data.units import MIB

MOST_BYTES = 256 * MIB  # of a header; that of a vocabulary of 256,000 words has 15
MOST_ENTRIES = 5_000_000
LISTED = 10_000  # no model has more layers
DEFAULT_ALIGNMENT = 32
STRING, ARRAY = 8, 9
NUMBERS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q"}
NUMBERS |= {12: "d"}  # by the format's number of a type


@dataclass(frozen=True, slots=True)
class Length:
    """A length is all that is kept of an array of texts, or of a long one.

    Args:
        count: How many values it has.
    """

    count: int


@dataclass(frozen=True, slots=True)
class Gguf:
    """A GGUF file holds a model.

    Args:
        metadata: Its values by name; of an array of text, and of a long one, its length.
        tensors: The names of its tensors.
        weights: The bytes of its tensors.
    """

    metadata: Mapping[str, Any]
    tensors: tuple[str, ...]
    weights: int


class _Malformed(ValueError):
    """The bytes are no GGUF header."""


@dataclass(slots=True)
class _Reader:
    file: BinaryIO
    size: int

    def take(self, count: int) -> bytes:
        if count > min(MOST_BYTES, self.size) - self.file.tell():
            raise _Malformed("it ends in the middle of its header, or counts more than it has")
        return self.file.read(count)

    def number(self, form: str) -> Any:
        return struct.unpack("<" + form, self.take(struct.calcsize("<" + form)))[0]

    def count(self) -> int:
        count = int(self.number("Q"))
        if count > MOST_ENTRIES:
            raise _Malformed(f"it counts {count:,} entries")
        return count

    def string(self) -> str:
        return self.take(int(self.number("Q"))).decode("utf-8", "replace")

    def value(self, kind: int) -> Any:
        if kind == STRING:
            return self.string()
        if kind != ARRAY:
            return self.number(_form(kind))
        inner, count = int(self.number("I")), self.count()
        if inner == ARRAY:
            raise _Malformed("it has arrays of arrays")
        if inner == STRING:
            for _ in range(count):
                self.take(int(self.number("Q")))
            return Length(count)
        form = f"<{count}{_form(inner)}"
        data = self.take(struct.calcsize(form))
        return list(struct.unpack(form, data)) if count <= LISTED else Length(count)


def read_gguf(path: Path) -> Gguf:
    """Return what the header of a file says.

    Raises:
        SetupError: The file is cut short, or is none of this format.
    """
    try:
        if not path.is_file():
            raise SetupError(f"{path}: there is no such file; {AGAIN}")
        with path.open("rb") as file:
            return _read(_Reader(file, path.stat().st_size))
    except OSError as error:
        raise SetupError(f"{path}: it cannot be read ({error.strerror}); {AGAIN}") from error
    except _Malformed as error:
        raise SetupError(f"{path}: no GGUF file that can be read: {error}; {AGAIN}") from error


def _read(reader: _Reader) -> Gguf:
    if reader.take(4) != b"GGUF":
        raise _Malformed("it does not begin with GGUF")
    if (version := reader.number("I")) not in (2, 3):
        raise _Malformed(f"its version is {version}, and 2 and 3 are known")
    tensors, values = reader.count(), reader.count()
    metadata = {}
    for _ in range(values):
        name = reader.string()
        metadata[name] = reader.value(int(reader.number("I")))
    names, last = [], 0
    for _ in range(tensors):
        names.append(reader.string())
        if (axes := int(reader.number("I"))) > 8:
            raise _Malformed(f"a tensor has {axes} axes")
        reader.take(8 * axes + 4)  # its shape and type
        last = max(last, int(reader.number("Q")))
    alignment = metadata.get("general.alignment", DEFAULT_ALIGNMENT)
    if not isinstance(alignment, int) or not 1 <= alignment <= MIB:
        raise _Malformed(f"its alignment is {alignment!r}")
    begin = -(-reader.file.tell() // alignment) * alignment
    if tensors and begin + last >= reader.size:
        raise _Malformed("it is cut short: its last weights are not there")
    return Gguf(metadata, tuple(names), max(0, reader.size - begin))


def _form(kind: int) -> str:
    if kind not in NUMBERS:
        raise _Malformed(f"a value has the unknown type {kind}")
    return NUMBERS[kind]
