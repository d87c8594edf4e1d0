"""Code decides by the API of a service; only few modules spell the names of a turn's two."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from processes.commands import ROOT
from source_code import nodes_of

OF_TURNS = re.compile(r"(?<![a-z0-9])(llm|stt)(?![a-z0-9])")  # a word of a text, or part of a name
BEGIN = re.compile(r"(llm|stt)_")  # of a name in the code that may be a key
# specs say them, engines have them as their usual ones, units are read into them, the rig has them
ROOMS = ("study/spec/", "objectives/engines/", "study/init_spec/", "objectives/rig/")
MAY: dict[str, str] = {
    "objectives/allocation.py": "whose are the parameters whisper_model_size and whisper.<option>",
    "objectives/capacity/__main__.py": "limits of a spec, in --help",
    "objectives/capacity/limits.py": "limits of a spec that are usual, and their short names",
    "objectives/capture/capture.py": "options, in a sentence: --llm-port, --stt-port",
    "objectives/capture/trace_file.py": "the format of traces",
    "objectives/diagnosis/symptoms.py": "classes of failures, by API",
    "objectives/figures.py": "what people call them",
    "objectives/fitness.py": "the weights of the presets",
    "objectives/model_files/shape.py": "a key of a model's config.json",
    "objectives/plain_data/names_of_0_1.py": "figures of recordings and studies of 0.1",
    "objectives/spica_gpu_allocation.py": "figures that the interface of an evaluator has",
    "objectives/traffic/ready_made.py": "keys of a spec: llm_per_s, llm_burst, stt_per_s",
    "objectives/traffic/workload.py": "keys of a spec: llm_per_s, llm_burst, stt_per_s",
    "scripts/bench_load.py": "the folder of a model",
    "scripts/make_models.py": "folders of models",
    "study/bench/lateness.py": "keys of a spec: llm_per_s, llm_burst, stt_per_s",
    "study/cli/limit_options.py": "an example of a limit in a sentence",
    "study/commands/capture.py": "options: --llm, --stt",
    "study/commands/init_spec.py": "an option: --llm-model",
    "study/confirmation/publish.py": "keys of a verdict",
    "study/confirmation/verdict_file.py": "a key of a verdict",
    "study/promotion/document.py": "a key of a spec and a promotion: llm_quality",
    "study/report/analysis_words.py": "keys of a spec that it tells to write: llm_burst, llm_per_s",
    "study/service_pause/containers.py": "an example of a container in a sentence",
    "study/server_words/programs.py": "the role of a program",
    "study/wording/failures.py": "classes of failures",
}


def names_in(source: str) -> Iterator[str]:
    """Yield where a module spells the names: in its texts but for docstrings, and in its keys."""
    if not OF_TURNS.search(source):
        return
    for node in nodes_of(source):
        match node:
            case ast.Constant(value=str(text)) if OF_TURNS.search(text):
                yield text
            case ast.Attribute(attr=name) | ast.keyword(arg=str(name)) if BEGIN.match(name):
                yield name
            case ast.AnnAssign(target=ast.Name(id=name)) if BEGIN.match(name):
                yield name


def test_a_name_is_found_as_a_value_in_a_text_and_as_a_key_and_not_in_a_docstring() -> None:
    """What the test below rests on."""
    source = '"""The llm."""\nif x == "stt":\n    y["llm"] = f"{z} stt_ms", w.llm_per_s, llm_of(w)'
    assert sorted(names_in(source)) == [" stt_ms", "llm", "llm_per_s", "stt"]


def test_only_these_modules_spell_the_services_of_a_turn() -> None:
    """Each has its reason above."""
    files = [f for top in ("objectives", "study", "scripts") for f in (ROOT / top).rglob("*.py")]
    spelled = {str(f.relative_to(ROOT)) for f in files if [*names_in(f.read_text("utf-8"))]}
    assert {f for f in spelled if not f.startswith(ROOMS)} == set(MAY)
