"""Code decides by the API of a service; only few modules spell the names of a turn's two."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from commands import ROOT

OF_TURNS = ("llm", "stt")
# specs say them, engines have them as their usual ones, units are read into them, the rig has them
ROOMS = ("study/spec/", "objectives/engines/", "study/init_spec/", "objectives/rig/")
MAY: dict[str, str] = {
    "objectives/allocation.py": "whose are the parameters whisper_model_size and whisper.<option>",
    "objectives/capture/trace_file.py": "the format of traces",
    "objectives/figures.py": "what people call them",
    "objectives/fitness.py": "the weights of the presets",
    "objectives/traffic/workload.py": "keys of a spec: llm_per_s, stt_per_s",
    "study/commands/capture.py": "options: --llm, --stt",
    "study/showcase/spec_schema.py": "the schema of specs",
}


def names_in(source: str) -> Iterator[str]:
    """Yield the names that a module spells as values."""
    if not any(f'"{name}"' in source for name in OF_TURNS):
        return
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and node.value in OF_TURNS:
            yield str(node.value)


def test_a_name_as_a_value_is_found_and_one_in_words_is_not() -> None:
    """What the test below rests on."""
    assert [*names_in('"""The llm."""\nif x == "stt":\n    y["llm"] = "llm_per_s"')] == [
        *("stt", "llm")
    ]


def test_only_these_modules_spell_the_services_of_a_turn() -> None:
    """Each has its reason above."""
    files = [f for top in ("objectives", "study", "scripts") for f in (ROOT / top).rglob("*.py")]
    spelled = {str(f.relative_to(ROOT)) for f in files if [*names_in(f.read_text("utf-8"))]}
    assert {f for f in spelled if not f.startswith(ROOMS)} == set(MAY)
