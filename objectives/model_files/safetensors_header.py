"""The header of a safetensors file names its tensors: eight bytes of length, then JSON.

The format is small enough to read here: the package `safetensors` would add a compiled library and
maps the file, and it tells of a broken header without a way out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from objectives.errors import SetupError
from objectives.model_files.json_file import AGAIN, parsed, whole
from objectives.plain_data.units import MIB

MOST_BYTES = 100 * MIB  # the format's own bound of a header
MOST_ELEMENTS = 2**60  # of a tensor
FLOATS = ("F64", "F32", "F16", "BF16")  # what a server may cast to its own number format


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor lies in a file.

    Args:
        name: Its name.
        dtype: Its number format, as the file names it, e.g. `BF16`.
        elements: How many numbers it has.
        size: Its bytes in the file.
    """

    name: str
    dtype: str
    elements: int
    size: int


def tensors_of(path: Path) -> list[Tensor]:
    """Return the tensors of a file, from its header alone.

    Raises:
        SetupError: The file is cut short, or is none of this format.
    """
    try:
        if not path.is_file():
            raise SetupError(f"{path}: there is no such file; {AGAIN}")
        size = path.stat().st_size
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if size < 8 or length > min(MOST_BYTES, size - 8):
                raise SetupError(
                    f"{path}: its header should have {length:,} bytes and the file has {size:,}: "
                    f"it is cut short, or no safetensors file; {AGAIN}"
                )
            header = parsed(file.read(length), path)
    except OSError as error:
        raise SetupError(f"{path}: it cannot be read ({error.strerror}); {AGAIN}") from error
    header.pop("__metadata__", None)
    tensors, end = [], 0
    for name, entry in header.items():
        tensor, last = _tensor(name, entry, path)
        tensors.append(tensor)
        end = max(end, last)
    if end > size - 8 - length:
        raise SetupError(
            f"{path}: {end:,} bytes of weights are announced and {size - 8 - length:,} are there: "
            f"it is cut short; {AGAIN}"
        )
    return tensors


def _tensor(name: str, entry: Any, path: Path) -> tuple[Tensor, int]:
    """Return a tensor, and where it ends among the weights, bytes."""
    try:
        shape = [whole(n, least=0, most=2**48) for n in entry["shape"]]
        begin, end = (whole(n, least=0, most=2**60) for n in entry["data_offsets"])
        dtype = str(entry["dtype"])
    except (KeyError, TypeError, ValueError):
        shape, begin, end, dtype = [None], None, None, ""
    elements = math.prod(n for n in shape if n is not None)
    if begin is None or end is None or end < begin or None in shape or elements > MOST_ELEMENTS:
        raise SetupError(f"{path}: the entry of {name[:80]!r} describes no tensor; {AGAIN}")
    return Tensor(name, dtype, elements, end - begin), end
