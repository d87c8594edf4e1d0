"""Options that vLLM refuses together are refused before a launch; what is one server is one."""

import pytest

from objectives.errors import BadInput
from study.spec.load import load

SPEC = """\
name: small
measure: {recorded: some.jsonl}
search_space:
  vllm.enforce_eager: [true, false]
  vllm.max-cudagraph-capture-size: [64, 256]
  vllm.max_num_batched_tokens: [512, 2048]
baseline:
  {vllm.enforce_eager: false, vllm.max-cudagraph-capture-size: 256, whisper_model_size: base,
   vllm.max_num_batched_tokens: 512}
services: {llm: {model: m, args: []}}
"""


@pytest.fixture
def loaded(tmp_path):
    (tmp_path / "some.jsonl").touch()

    def load_(*changes):
        path, text = tmp_path / "spec.yaml", SPEC
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        path.write_text(text)
        return load(path)

    return load_


def test_an_option_that_does_nothing_makes_no_other_candidate(loaded):
    space = loaded().search_space
    texts = [str(a) for a in space.grid()]
    assert len(set(texts)) == len(texts) == space.size == 2 * (1 + 2)
    capture = "vllm.max-cudagraph-capture-size"
    eager = [a for a in space.grid() if a.values["vllm.enforce_eager"]]
    assert {a.values[capture] for a in eager} == {256}  # as in use today
    assert all(capture not in space.encode(a) for a in eager)
    assert [str(space.decode(space.encode(a))) for a in space.grid()] == texts


def test_the_server_of_a_template_is_not_known(loaded):
    command = "command: 'x {port} {vllm.enforce_eager} {vllm.max-cudagraph-capture-size}"
    command += " {vllm.max_num_batched_tokens}'"
    assert loaded(("args: []", command)).search_space.size == 8


@pytest.mark.parametrize(
    ("change", "start"),
    [
        (
            ("args: []", "args: ['--max-num-seqs', '1024']"),
            ":6: search_space.vllm.max_num_batched_tokens: vLLM refuses 512 of them for 1024 ",
        ),
        (
            ("[64, 256]", "[64, 256, 512, 1024]"),
            ":5: search_space.vllm.max-cudagraph-capture-size: vLLM cuts 512 and 1024 to the 512 ",
        ),
        (
            ("[512, 2048]", "[0, 512]"),
            ":6: search_space.vllm.max_num_batched_tokens: 0 is no whole number from 1; write one",
        ),
        (
            ("  vllm.enforce_eager: [true, false]\n", ""),
            4,
        ),
        (
            ("[true, false]", "[true]"),
            ":5: search_space.vllm.max-cudagraph-capture-size: it does nothing beside --enforce-",
        ),
        (
            ("args: []", "args: ['--max-num-seqs', '4', '-tp', '2']"),
            ":10: services.llm.args: tp spreads one LLM over several devices, and its place has ",
        ),
        (
            ("vllm.enforce_eager: [true, false]", "vllm.tensor-parallel-size: [1, 2]"),
            ":4: search_space.vllm.tensor-parallel-size: tensor-parallel-size spreads one LLM ",
        ),
        (("args: []", "args: ['--tensor-parallel-size=1']"), 6),
        (
            ("name: small", "device: cpu\nname: small"),
            ":6: search_space.vllm.max-cudagraph-capture-size: vLLM captures no graphs on a CPU",
        ),
    ],
)
def test_values_that_vllm_refuses_or_takes_for_others_are_refused(loaded, tmp_path, change, start):
    changes = [change]
    if "[true]" in change[1]:
        changes.append(("enforce_eager: false", "enforce_eager: true"))
    if "vllm.tensor" in change[1]:
        changes.append(("vllm.enforce_eager: false", "vllm.tensor-parallel-size: 1"))
    if isinstance(start, int):
        assert loaded(*changes).search_space.size == start
        return
    with pytest.raises(BadInput) as caught:
        loaded(*changes)
    assert str(caught.value).removeprefix(str(tmp_path / "spec.yaml")).startswith(start)
