"""The size of a speech model is read from headers of CTranslate2's model.bin, or known by name."""

from __future__ import annotations

import math
import re
import struct
from pathlib import Path
from typing import BinaryIO

from objectives.errors import SetupError
from objectives.model_files.json_file import AGAIN

MOST_VARIABLES = 100_000
# millions of parameters, as OpenAI's, distil-whisper's and mobiuslabs' model cards give them
MILLIONS = {
    "tiny": 37.8,
    "base": 72.6,
    "small": 241.7,
    "medium": 763.9,
    "large-v1": 1543.3,
    "large-v2": 1543.3,
    "large-v3": 1543.5,
    "large": 1543.5,
    "large-v3-turbo": 808.9,
    "turbo": 808.9,
    "distil-small": 166.0,
    "distil-medium": 394.0,
    "distil-large-v2": 756.0,
    "distil-large-v3": 756.0,
    "distil-large-v3.5": 756.0,
}

SIZES = ("tiny", "tiny.en", "base", "base.en", "small", "small.en", "medium", "medium.en")
LARGE = ("large-v1", "large-v2", "large-v3")
DISTILLED = ("small.en", "medium.en", "large-v2", "large-v3")
HUB = {  # the ids of their models on the hub
    **{size: f"Systran/faster-whisper-{size}" for size in (*SIZES, *LARGE)},
    **{f"distil-{size}": f"Systran/faster-distil-whisper-{size}" for size in DISTILLED},
    "large": "Systran/faster-whisper-large-v3",
    "turbo": "mobiuslabsgmbh/faster-whisper-large-v3-turbo",
    "large-v3-turbo": "mobiuslabsgmbh/faster-whisper-large-v3-turbo",
}


def named_parameters(name: str) -> int | None:
    """Return the parameters of a model by its size or hub id; None for one that is not known.

    >>> named_parameters("tiny.en"), named_parameters("Systran/faster-distil-whisper-large-v3")
    (37800000, 756000000)
    """
    own = name.rpartition("/")[2].removesuffix(".en")
    if match := re.search(r"faster-(distil-)?whisper-(.+)", own):
        own = (match[1] or "") + match[2]
    millions = MILLIONS.get(own)
    return None if millions is None else round(millions * 10**6)


def file_parameters(path: Path) -> int:
    """Return the parameters of a model.bin, from the headers of its variables.

    Raises:
        SetupError: The file is cut short, or is none of this format.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            return _count(file, size)
    except OSError as error:
        raise SetupError(f"{path}: it cannot be read ({error.strerror}); {AGAIN}") from error
    except (struct.error, ValueError) as error:
        raise SetupError(
            f"{path}: no model of CTranslate2, or one that is cut short; {AGAIN}"
        ) from error


def _count(file: BinaryIO, size: int) -> int:
    """Return the numbers of all variables.

    Raises:
        ValueError, struct.error: The bytes are those of no model.
    """
    _number(file, "I")  # the version of the format
    _string(file)
    _number(file, "I")  # the revision of the model
    variables, total = _number(file, "I"), 0
    if variables > MOST_VARIABLES:
        raise ValueError
    for _ in range(variables):
        _string(file)
        axes = _number(file, "B")
        total += math.prod(_number(file, "I") for _ in range(axes))
        _number(file, "B")  # the number format
        following = file.tell() + 4 + _number(file, "I")
        if following > size:
            raise ValueError
        file.seek(following)
    return total


def _number(file: BinaryIO, form: str) -> int:
    return int(struct.unpack("<" + form, file.read(struct.calcsize("<" + form)))[0])


def _string(file: BinaryIO) -> None:
    length = _number(file, "H")
    if len(file.read(length)) != length:
        raise ValueError
