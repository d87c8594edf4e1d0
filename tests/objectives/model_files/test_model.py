"""Checks what the files of a model say of its weights; whatever is broken is one sentence."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from made.model_folders import write_config, write_gguf, write_safetensors

from objectives.errors import SetupError
from objectives.model_files.model import INDEX, read_model
from objectives.plain_data.units import MIB

LAYER = "model.layers.{}.mlp.up_proj.weight"
GGUF = {
    "general.architecture": "llama",
    "llama.block_count": 16,
    "llama.embedding_length": 2048,
    "llama.feed_forward_length": 8192,
    "llama.attention.head_count": 32,
    "llama.attention.head_count_kv": 8,
    "llama.context_length": 131072,
    "tokenizer.ggml.tokens": ["a", "b", "c"],
}


def weights(folder: Path, **options: str) -> float | None:
    return read_model(folder, **options).weights_mib  # type: ignore[arg-type]


def test_the_weights_of_files_are_those_of_every_shard_of_the_index(tmp_path: Path) -> None:
    write_config(tmp_path)
    shards = {LAYER.format(n): f"model-{n}.safetensors" for n in (0, 1)}
    for name, file in shards.items():
        write_safetensors(tmp_path / file, {name: ("BF16", (1024, 1024))})
    write_safetensors(tmp_path / "consolidated.safetensors", {"all": ("BF16", (2048, 1024))})
    (tmp_path / INDEX).write_text(json.dumps({"weight_map": shards}))
    model = read_model(tmp_path)
    assert (model.weights_mib, model.source) == (4.0, "files")
    assert "2 files" in model.why


@pytest.mark.parametrize(
    ("stored", "config_dtype", "dtype", "mib"),
    [
        ("BF16", "bfloat16", "auto", 2),
        ("F32", "float32", "auto", 2),  # vLLM serves float32 as two bytes
        ("F32", "float32", "float32", 4),
        ("BF16", "bfloat16", "float16", 2),
    ],
)
def test_numbers_become_those_of_the_server(
    tmp_path: Path, stored: str, config_dtype: str, dtype: str, mib: int
) -> None:
    write_config(tmp_path, torch_dtype=config_dtype)
    write_safetensors(tmp_path / "model.safetensors", {"w": (stored, (1024, 1024))})
    assert weights(tmp_path, dtype=dtype) == mib


@pytest.mark.parametrize("method", ["awq", "gptq", "fp8", "compressed-tensors"])
def test_quantized_weights_count_as_they_lie(tmp_path: Path, method: str) -> None:
    write_config(tmp_path, quantization_config={"quant_method": method})
    tensors = {"a.qweight": ("I32", (512, 512)), "a.scales": ("F32", (64, 64)), "b": ("U8", (8,))}
    size = write_safetensors(tmp_path / "model.safetensors", tensors)
    model = read_model(tmp_path, dtype="float16")
    assert model.weights_mib == size / MIB
    assert model.shape.quantization == method


def test_what_lies_there_twice_or_for_drafting_is_not_loaded(tmp_path: Path) -> None:
    write_config(tmp_path, tie_word_embeddings=True)
    kept = {"model.embed_tokens.weight": ("BF16", (64, 64)), LAYER.format(27): ("BF16", (64, 64))}
    left = {"lm_head.weight": ("BF16", (64, 64)), LAYER.format(28): ("BF16", (64, 64))}
    write_safetensors(tmp_path / "model.safetensors", kept | left)
    assert weights(tmp_path) == 2 * 64 * 64 * 2 / MIB
    write_config(tmp_path, num_hidden_layers=29)
    assert weights(tmp_path) == 4 * 64 * 64 * 2 / MIB


def test_a_vision_tower_has_layers_of_its_own_count(tmp_path: Path) -> None:
    write_config(tmp_path, num_hidden_layers=2)
    towers = {"vision_tower.encoder.layers.20.weight": ("BF16", (1024, 512))}
    write_safetensors(tmp_path / "model.safetensors", towers)
    assert weights(tmp_path) == 1.0


def test_random_weights_are_counted_whatever_lies_there(tmp_path: Path) -> None:
    write_config(tmp_path)
    write_safetensors(tmp_path / "model.safetensors", {"w": ("BF16", (8, 8))})
    model = read_model(tmp_path, is_random=True)
    assert model.source == "config" and "7.62 billion parameters" in model.why
    assert model.weights_mib == pytest.approx(7_615_616_512 * 2 / MIB, rel=1e-4)


@pytest.mark.parametrize(
    "changes",
    [
        {"architectures": ["FalconForCausalLM"]},
        {"quantization_config": {"quant_method": "awq"}},
        {"vision_config": {"hidden_size": 8}},
    ],
)
def test_without_files_what_cannot_be_counted_is_not_known(
    tmp_path: Path, changes: dict[str, object]
) -> None:
    model = read_model(write_config(tmp_path, **changes))
    assert model.weights_mib is None
    assert "no weight files lie in" in model.why and "hf download" in model.why


AWQ = {"quant_method": "awq", "bits": 4, "group_size": 128, "modules_to_not_convert": None}


@pytest.mark.parametrize(
    ("config", "billions_of_bytes"),
    [
        (AWQ, 5.570),  # as the files of Qwen2.5-7B-Instruct-AWQ on the hub have
        (AWQ | {"quant_method": "gptq"}, 5.570),
        (AWQ | {"group_size": 32}, 5.570 + 6.525 * 2.5 * (1 / 32 - 1 / 128)),
        ({"quant_method": "fp8", "ignored_layers": ["lm_head"]}, 2.180 + 6.525),
    ],
)
def test_quantized_weights_of_a_dense_model_are_counted_without_files(
    tmp_path: Path, config: dict[str, object], billions_of_bytes: float
) -> None:
    model = read_model(write_config(tmp_path, quantization_config=config), dtype="float16")
    assert model.weights_mib == pytest.approx(billions_of_bytes * 1e9 / MIB, rel=1e-3)
    assert model.source == "config" and "counted from config.json" in model.why


@pytest.mark.parametrize(
    "config",
    [
        AWQ | {"group_size": -1},
        AWQ | {"bits": "four"},
        AWQ | {"modules_to_not_convert": ["self_attn"]},
        AWQ | {"modules_to_not_convert": 7},
        AWQ | {"modules_to_not_convert": [{}]},
        {"quant_method": "compressed-tensors", "bits": 4, "group_size": 128},
    ],
)
def test_quantized_weights_of_another_layout_are_not_known_without_files(
    tmp_path: Path, config: dict[str, object]
) -> None:
    assert read_model(write_config(tmp_path, quantization_config=config)).weights_mib is None


def test_a_gguf_file_tells_shape_and_weights(tmp_path: Path) -> None:
    write_gguf(tmp_path / "m.gguf", GGUF, weights=3 * MIB)
    for path in (tmp_path / "m.gguf", tmp_path):
        model = read_model(path)
        assert (model.weights_mib, model.source) == (3.0, "files")
    shape = model.shape
    assert (shape.layers, shape.vocab, shape.max_positions) == (16, 3, 131072)
    assert shape.attention.numbers == 2 * 8 * 64 and not shape.attention.unknown


def test_a_gguf_file_with_heads_of_each_layer_says_so(tmp_path: Path) -> None:
    write_gguf(tmp_path / "m.gguf", GGUF | {"llama.attention.head_count_kv": [4] * 16})
    assert read_model(tmp_path).shape.attention.numbers == 2 * 4 * 64
    write_gguf(tmp_path / "m.gguf", GGUF | {"llama.attention.head_count_kv": [4, 8] * 8})
    assert "differ" in read_model(tmp_path).shape.attention.unknown


def test_a_part_of_a_gguf_model_does_not_tell_its_weights(tmp_path: Path) -> None:
    write_gguf(tmp_path / "m.gguf", GGUF | {"split.count": 3})
    model = read_model(tmp_path)
    assert model.weights_mib is None and "one of 3 files" in model.why


def _cut_header(path: Path) -> None:
    os.truncate(path, 20)


def _cut_weights(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 1)


def _endless_header(path: Path) -> None:
    path.write_bytes(b"\xff" * 8 + b"{}")


def _header(text: str) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        path.write_bytes(len(text).to_bytes(8, "little") + text.encode() + b"\0" * 64)

    return write


def test_a_layer_of_a_number_that_no_model_has_counts_as_it_lies(tmp_path: Path) -> None:
    write_config(tmp_path)
    name = f"model.layers.{'9' * 5000}.w"
    write_safetensors(tmp_path / "model.safetensors", {name: ("BF16", (1024, 512))})
    assert read_model(tmp_path).weights_mib == 1


ODD = '{"w": {"dtype": "BF16", "shape": %s, "data_offsets": %s}}'


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (_cut_header, "cut short"),
        (_cut_weights, "cut short"),
        (_endless_header, "18,446,744,073,709,551,615 bytes"),
        (lambda path: path.write_bytes(b""), "cut short"),
        (_header("{"), "it is not JSON"),
        (_header("[1]"), "no JSON object"),
        (_header("[" * 50_000), "it is not JSON"),
        (_header('{"w": 1}'), "'w' describes no tensor"),
        (_header(ODD % ("[-1]", "[0, 8]")), "describes no tensor"),
        (_header(ODD % ("[4]", "[8, 0]")), "describes no tensor"),
        (_header(ODD % ('["x"]', "[0, 8]")), "describes no tensor"),
        (_header(ODD % ("[4]", "[0, 8, 9]")), "describes no tensor"),
        (_header(ODD % (str([2**47] * 30), "[0, 8]")), "describes no tensor"),
        (lambda path: path.unlink(), "config.json"),
        (lambda path: path.unlink() or path.mkdir(), "there is no such file"),
    ],
)
def test_a_broken_weight_file_is_a_sentence_with_file_and_way_out(
    tmp_path: Path, spoil: Callable[[Path], None], words: str
) -> None:
    write_config(tmp_path)
    path = tmp_path / "model.safetensors"
    write_safetensors(path, {"w": ("BF16", (64, 64))})
    spoil(path)
    if not path.exists():
        assert words in read_model(tmp_path).why
        return
    with pytest.raises(SetupError, match=r"hf download") as error:
        read_model(tmp_path)
    assert words in str(error.value) and "model.safetensors" in str(error.value)


@pytest.mark.parametrize(
    ("index", "words"),
    [
        ({}, "no weight_map"),
        ({"weight_map": {"w": "model-1.safetensors"}}, "1 of its 1 files are not there"),
        ({"weight_map": {"w": "../../etc/passwd"}}, "names no file of its folder"),
        ({"weight_map": ["w"]}, "no weight_map"),
        ({"weight_map": {"w": "x" * 300 + ".safetensors"}}, "names no file of its folder"),
        ({"weight_map": {"w": "\ud800.safetensors"}}, "names no file of its folder"),
    ],
)
def test_an_index_that_misleads_is_a_sentence(
    tmp_path: Path, index: dict[str, object], words: str
) -> None:
    write_config(tmp_path)
    (tmp_path / INDEX).write_text(json.dumps(index))
    with pytest.raises(SetupError, match=r"hf download") as error:
        read_model(tmp_path)
    assert words in str(error.value) and INDEX in str(error.value)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"GGML", "does not begin with GGUF"),
        (b"", "ends in the middle"),
        (b"GGUF" + b"\1\0\0\0", "its version is 1"),
        (b"GGUF" + b"\3\0\0\0" + b"\xff" * 16, "it counts 18,446"),
        (b"GGUF\3\0\0\0" + b"\0" * 8 + b"\2" + b"\0" * 7 + b"\xff" * 8, "ends in the middle"),
    ],
)
def test_a_broken_gguf_file_is_a_sentence(tmp_path: Path, data: bytes, words: str) -> None:
    (tmp_path / "m.gguf").write_bytes(data)
    with pytest.raises(SetupError, match=r"m\.gguf: .*hf download") as error:
        read_model(tmp_path)
    assert words in str(error.value)


def test_a_gguf_file_that_is_cut_short_is_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    write_gguf(path, GGUF)
    whole = path.stat().st_size
    for size in range(0, whole - 4096, 7):
        os.truncate(path, size)
        with pytest.raises(SetupError, match="no GGUF file that can be read"):
            read_model(path)
        write_gguf(path, GGUF)


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ((), "no config.json lies there"),
        (("params.json",), "Mistral's own format"),
        (("a.gguf", "b.gguf"), "2 GGUF files"),
    ],
)
def test_a_folder_without_a_configuration_is_a_sentence(
    tmp_path: Path, names: tuple[str, ...], words: str
) -> None:
    for name in names:
        (tmp_path / name).touch()
    with pytest.raises(SetupError, match=words):
        read_model(tmp_path)
    with pytest.raises(SetupError, match="no such folder"):
        read_model(tmp_path / "nowhere")
