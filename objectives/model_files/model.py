"""A model on this machine has a shape and weights, and says where both were read."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from objectives.errors import SetupError
from objectives.model_files.gguf_header import read_gguf
from objectives.model_files.json_file import AGAIN, inner, read_object
from objectives.model_files.parameters import parameters
from objectives.model_files.quantized import quantized_bytes
from objectives.model_files.safetensors_header import FLOATS, Tensor, tensors_of
from objectives.model_files.shape import Shape, read_shape, shape_of_gguf
from objectives.plain_data.units import MIB

BYTES = {"float64": 8, "float32": 4, "float16": 2, "bfloat16": 2, "half": 2, "float": 4}
LONGEST_NAME = 255  # bytes, of a file on Linux
INDEX = "model.safetensors.index.json"
OF_A_LAYER = re.compile(r"(?:model\.|language_model\.)*layers\.(\d{1,9})\.")


@dataclass(frozen=True, slots=True)
class Model:
    """A model has a shape and weights.

    Args:
        shape: Its shape.
        weights_mib: What its weights take on one device, MiB; None where that is not known.
        source: Where the weights were read: the files themselves, or counted from config.json.
        why: What the source is, or why the weights are not known, for a person.
    """

    shape: Shape
    weights_mib: float | None
    source: Literal["files", "config"]
    why: str


def read_model(path: Path, *, is_random: bool = False, dtype: str = "auto") -> Model:
    """Return a model from its folder, or from its GGUF file.

    Args:
        path: The folder with a config.json, or the file.
        is_random: Whether the server makes its weights itself, whatever lies there.
        dtype: The number format that the server is asked for; `auto` is the model's own.

    Raises:
        SetupError: A file is missing, cut short or of another kind.
    """
    if path.suffix == ".gguf" or not (path / "config.json").exists():
        return _of_gguf(_gguf_in(path))
    shape = read_shape(path / "config.json")
    size = served_bytes(shape, dtype)
    if not is_random and (files := _weight_files(path)):
        tensors = (t for file in files for t in tensors_of(file))
        weights = _loaded(tensors, shape, size)
        what = "its file" if len(files) == 1 else f"its {len(files)} files"
        return Model(shape, weights / MIB, "files", f"by the headers of {what} in {path}")
    return _counted(shape, size, path, is_random=is_random)


def served_bytes(shape: Shape, dtype: str = "auto") -> int:
    """Return the bytes of a number as a server has it: vLLM serves float32 as two bytes.

    `auto` is the model's own format; another one is asked for.
    """
    if dtype == "auto":
        return min(2, BYTES.get(shape.dtype, 2))
    return BYTES.get(dtype, 2)


def _counted(shape: Shape, size: int, path: Path, *, is_random: bool) -> Model:
    """Return a model whose weights are counted from its configuration."""
    whence = "its weights are random" if is_random else f"no weight files lie in {path}"
    count = parameters(shape)
    packed = quantized_bytes(shape, size) if shape.quantization else None
    if packed is not None and not shape.other_parts:
        why = f"{whence}: those of {shape.quantization} are counted from config.json"
        return Model(shape, packed / MIB, "config", why)
    if count is None or shape.other_parts or shape.quantization:
        what = shape.quantization or (shape.other_parts or (shape.architecture,))[0]
        why = shape.attention.unknown or f"those of {what} are not counted from config.json"
        return Model(shape, None, "config", f"{whence}, and {why}: `hf download` brings the files")
    why = (
        f"{whence}: {count / 1e9:.2f} billion parameters of {size} bytes, counted from config.json"
    )
    return Model(shape, count * size / MIB, "config", why)


def _weight_files(folder: Path) -> list[Path]:
    """Return the safetensors files of a folder that a server loads.

    Raises:
        SetupError: Its index names a file that is not there.
    """
    if (index := folder / INDEX).exists():
        names = {str(name) for name in inner(read_object(index), "weight_map").values()}
        if not names:
            raise SetupError(f"{index}: it has no weight_map; {AGAIN}")
        if odd := sorted(n for n in names if not _is_of_a_folder(n)):
            raise SetupError(f"{index}: {odd[0][:80]!r} names no file of its folder; {AGAIN}")
        if missing := sorted(n for n in names if not (folder / n).exists()):
            raise SetupError(
                f"{index}: {len(missing)} of its {len(names)} files are not there, "
                f"the first is {missing[0]}; {AGAIN}"
            )
        return sorted(folder / name for name in names)
    if (single := folder / "model.safetensors").exists():
        return [single]
    return sorted(f for f in folder.glob("*.safetensors") if not f.name.startswith("consolidated"))


def _is_of_a_folder(name: str) -> bool:
    is_name = Path(name).name == name and name.isprintable() and len(name.encode()) <= LONGEST_NAME
    return is_name and name.endswith(".safetensors")


def _loaded(tensors: Iterable[Tensor], shape: Shape, size: int) -> int:
    """Return the bytes that tensors take once they are loaded.

    Numbers of a model that is not quantized become those of the server; quantized ones stay as they
    lie. What is there twice, or only for drafting, is left in the file.
    """
    total = 0
    for tensor in tensors:
        layer = OF_A_LAYER.match(tensor.name)
        if layer and int(layer[1]) >= shape.layers:
            continue  # layers that predict further tokens
        if shape.is_tied and tensor.name == "lm_head.weight":
            continue
        is_cast = shape.quantization is None and tensor.dtype in FLOATS
        total += tensor.elements * size if is_cast else tensor.size
    return total


def _gguf_in(path: Path) -> Path:
    """Return the one GGUF file that a path names, or a folder without config.json holds."""
    if path.is_file():
        return path
    files = sorted(path.glob("*.gguf")) if path.is_dir() else []
    if len(files) == 1:
        return files[0]
    what = "no config.json lies there"
    if not path.is_dir():
        what = "there is no such folder"
    elif files:
        what = f"no config.json and {len(files)} GGUF files lie there"
    elif (path / "params.json").exists():
        what = "no config.json lies there, but params.json, Mistral's own format"
    raise SetupError(f"{path}: {what}; name a folder with a config.json, or one GGUF file")


def _of_gguf(path: Path) -> Model:
    gguf = read_gguf(path)
    shape = shape_of_gguf(path, gguf)
    if (parts := gguf.metadata.get("split.count", 1)) != 1:
        return Model(shape, None, "files", f"{path} is one of {parts} files of a model")
    return Model(shape, gguf.weights / MIB, "files", f"by the header of {path}")
