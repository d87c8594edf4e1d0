"""Only an engine's own room spells its name, so that the next engine is added there alone."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Any

import yaml
from processes.commands import ROOT
from source_code import nodes_of

NAMES = re.compile(r"vllm|llama.?cpp|ollama|sglang|faster.?whisper", re.IGNORECASE)
# keys of a spec, which users write: vllm_memory_util, vllm.<flag>
KEYS = re.compile(r"\bvllm_memory_(util|mib)\b|\bvllm\.(?=[a-z_<]|$)")
ROOMS = ("objectives/engines/", "objectives/rig/")  # the rig installs servers for tests
SPECS = "objectives/recordings/"  # what users write: they choose an engine by its name
MAY: dict[str, str] = {
    "objectives/transcriber.py": "it is the program of an engine, and runs alone",
    "objectives/model_files/whisper.py": "ids on the hub, in which models are named so",
    "scripts/bench_load.py": "it compares our load generator with one that an engine has",
    "study/cli/before_run/fit_text.py": "a key of `fit --json`",
    "study/cli/capture_lines.py": "a sentence that names a flag which helps most readers",
    "study/cli/end_of_run/next_steps.py": "the folder into which the rig installs",
    "study/commands/init_spec.py": "an example in --help",
    "study/deploy/config/load.py": "an example of a path in a sentence",
}


def names_in(source: str) -> Iterator[str]:
    """Yield the names of engines in the code of a module: not those in comments and docstrings."""
    if not NAMES.search(source):
        return
    for node in nodes_of(source):
        match node:
            case ast.Constant(value=str(text)) | ast.Name(id=text) | ast.Attribute(attr=text):
                pass
            case ast.ImportFrom(module=str(text)) | ast.alias(name=text) | ast.arg(arg=text):
                pass
            case ast.FunctionDef(name=text) | ast.ClassDef(name=text) | ast.keyword(arg=str(text)):
                pass
            case _:
                continue
        yield from (match[0] for match in NAMES.finditer(KEYS.sub("", text)))


def texts_in(data: Any) -> Iterator[str]:
    """Yield the keys and texts of a YAML file, but for `seen`: that says who was heard, no code."""
    match data:
        case dict():
            for key, value in data.items():
                yield from () if key == "seen" else (*texts_in(key), *texts_in(value))
        case list():
            for value in data:
                yield from texts_in(value)
        case _:
            yield str(data)


def names_in_yaml(source: str) -> list[str]:
    """Return the names of engines in a YAML file, not those in its comments."""
    texts = texts_in(yaml.safe_load(source))
    return [match[0] for text in texts for match in NAMES.finditer(KEYS.sub("", text))]


def test_a_name_in_code_is_found_and_one_in_a_docstring_or_a_key_is_not() -> None:
    """What the test below rests on."""
    assert [
        *names_in('"""vLLM."""\nSHARE = "vllm_memory_util"  # of vLLM\nx["vllm.max_num_seqs"]')
    ] == []
    assert [*names_in('if engine == "Ollama":\n    read_vllm(sglang=llama_cpp)')] == [
        *("Ollama", "vllm", "sglang", "llama_cpp")
    ]


def test_a_name_in_yaml_is_found_and_one_in_a_comment_or_in_seen_is_not() -> None:
    """What the last test below rests on."""
    assert names_in_yaml("# vLLM\nseen: vLLM 0.26\nshare: vllm_memory_util\n") == []
    assert names_in_yaml("rules:\n- {seen: vLLM, regexes: ['in sglang'], ollama: [1]}\n") == [
        *("sglang", "ollama")
    ]


def test_only_an_engines_room_spells_its_name() -> None:
    """Each other module that does has its reason above."""
    files = [f for top in ("objectives", "study", "scripts") for f in (ROOT / top).rglob("*.py")]
    named = {str(f.relative_to(ROOT)): [*names_in(f.read_text("utf-8"))] for f in files}
    spelled = {f: n for f, n in named.items() if n and not f.startswith(ROOMS)}
    assert set(spelled) == set(MAY), {f: n for f, n in spelled.items() if f not in MAY}


def test_no_rule_of_a_log_outside_an_engines_room_spells_its_name() -> None:
    """What one engine alone says stands in a file beside it."""
    files = {str(f.relative_to(ROOT)): f for f in (ROOT / "objectives").rglob("*.yaml")}
    named = {name: names_in_yaml(f.read_text("utf-8")) for name, f in files.items()}
    assert any(named[name] for name in named if name.startswith(ROOMS))
    apart = (*ROOMS, SPECS)
    assert {name: n for name, n in named.items() if n and not name.startswith(apart)} == {}
