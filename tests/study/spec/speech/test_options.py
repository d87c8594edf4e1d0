"""Values that our speech server cannot be started with are refused with their line."""

import pytest

from objectives.errors import BadInput
from study.spec.load import load

SPEC = """\
name: small
measure: {{recorded: some.jsonl}}
search_space:
  vllm_memory_util: [0.4, 0.5]
  whisper.{option}: {values}
baseline: {{vllm_memory_util: 0.5, whisper_model_size: base, whisper.{option}: {today}}}
services: {{llm: {{model: m}}, stt: {{{stt}}}}}
"""


@pytest.fixture
def loaded(tmp_path):
    (tmp_path / "some.jsonl").touch()

    def load_(option="beam_size", values="[1, 5]", today="5", stt=""):
        path = tmp_path / "spec.yaml"
        path.write_text(SPEC.format(option=option, values=values, today=today, stt=stt))
        return load(path)

    return load_


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"values": "[0, 5]"}, ":5: search_space.whisper.beam_size: 0 is out of range"),
        ({"values": "[1.5, 5]"}, ":5: search_space.whisper.beam_size: 1.5 is not a whole"),
        ({"values": "[a, b]", "today": "a"}, "'a' is not a whole number"),
        ({"values": "{low: 0, high: 5}"}, ":5: search_space.whisper.beam_size.low: 0 is out"),
        ({"values": "{low: 1, high: 5, step: 0.5}"}, "beam_size.step: 0.5 is not a whole"),
        ({"option": "max-new-tokens", "values": "[2, 5]"}, "write a number from 4 to 224"),
        (
            {"option": "compute_type", "values": "[float16, int9]", "today": "float16"},
            ":5: search_space.whisper.compute_type: 'int9' is no arithmetic of CTranslate2; did",
        ),
        (
            {"option": "compute-type", "values": "[true, false]", "today": "true"},
            "true is no arithmetic",
        ),
        ({"stt": "compute_type: half"}, ":7: services.stt.compute_type: 'half' is no arithm"),
    ],
)
def test_a_value_that_no_server_takes_is_refused(loaded, changes, part):
    with pytest.raises(BadInput) as error:
        loaded(**changes)
    assert part in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    "changes",
    [
        {"values": "{low: 1, high: 5}"},
        {"option": "max_new_tokens", "values": "{low: 4, high: 8, step: 2}", "today": "4"},
        {"option": "compute_type", "values": "[auto, int8_bfloat16]", "today": "auto"},
        {"stt": "compute_type: default"},
        {
            "values": "[b, a]",
            "today": "a",
            "stt": "command: 'hear {port} {whisper_model_size} {whisper.beam_size}'",
        },
    ],
)
def test_what_a_server_takes_is_read(loaded, changes):
    assert loaded(**changes).search_space.parameters
