"""Devices by name and the places of services are read from a spec."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from made.live_factories import FAKES, SERVER

from objectives.engines.places import Place
from objectives.errors import BadInput
from study.spec.load import load
from study.spec.model import Spec

TWO = {"gpu0": 0, "gpu1": "GPU-1234"}
OURS = {"python": "python3", "models": {"base": "o/b"}}


def read(folder: Path, devices: Any = TWO, stt: Any = OURS, **more: Any) -> Spec:
    own = {k: v for k, v in FAKES.items() if k != "device"}
    services = {"llm": FAKES["services"]["llm"], "stt": stt, **more.pop("others", {})}
    for key in ("search_space", "baseline"):
        merged = {**FAKES[key], **more.get(key, {})}
        more[key] = {k: v for k, v in merged.items() if v is not None}
    path = folder / "two.yaml"
    data = {**own, "devices": devices, "services": services, **more}
    path.write_text(yaml.safe_dump(data, sort_keys=False))
    return load(path)


def test_places_are_searched_and_the_rest_is_beside_the_llm(tmp_path: Path) -> None:
    embed = {"api": "embeddings", "command": SERVER, "place": "gpu1"}
    spec = read(
        tmp_path,
        search_space={"stt.place": ["gpu0/float16", "gpu1/int8", "cpu"]},
        baseline={"stt.place": "gpu0/float16"},
        others={"embed": embed},
    )
    assert (spec.device, dict(spec.devices)) == (
        "0",
        {"gpu0": "0", "gpu1": "GPU-1234", "cpu": "cpu"},
    )
    assert spec.places == {
        "llm": (Place("gpu0"),),
        "stt": (Place("gpu0", "float16"), Place("gpu1", "int8"), Place("cpu")),
        "embed": (Place("gpu1"),),
    }


def test_the_llms_device_comes_first(tmp_path: Path) -> None:
    llm = {**FAKES["services"]["llm"], "place": "gpu1"}
    spec = read(tmp_path, others={"llm": llm})
    assert spec.device == "GPU-1234" and [*spec.devices] == ["gpu1", "gpu0"]
    assert spec.places["stt"] == (Place("gpu1"),)


def test_one_device_has_no_places(tmp_path: Path) -> None:
    path = tmp_path / "one.yaml"
    path.write_text(yaml.safe_dump(FAKES, sort_keys=False))
    spec = load(path)
    assert not spec.devices and not any(spec.places.values())


def test_speech_on_the_cpu_beside_a_gpu_has_a_place_there(tmp_path: Path) -> None:
    path = tmp_path / "one.yaml"
    services = {**FAKES["services"], "stt": {**OURS, "device": "cpu"}}
    text = {**FAKES, "device": "cuda", "services": services}
    path.write_text(yaml.safe_dump(text, sort_keys=False))
    spec = load(path)
    assert dict(spec.devices) == {"gpu": "cuda", "cpu": "cpu"} and spec.device == "cuda"
    assert (spec.places["stt"], spec.places["llm"]) == ((Place("cpu"),), (Place("gpu"),))
    path.write_text(yaml.safe_dump({**text, "device": "cpu"}, sort_keys=False))
    assert not load(path).devices  # all of it is on the CPU


def _llm(place: str, search_space: Any = None, devices: Any = TWO, **more: Any) -> dict[str, Any]:
    """Return the keys of an LLM that an engine starts."""
    llm = {"model": "o/m", **more}
    keys: dict[str, Any] = {"others": {"llm": llm}}
    if search_space is None:
        llm["place"] = place
    else:
        keys |= {"search_space": search_space, "baseline": {"llm.place": place}}
    if "engine" in more:  # it has no share
        keys |= {"search_space": {"vllm_memory_util": None}, "baseline": {"vllm_memory_util": None}}
    return {**keys, "devices": devices}


def test_an_llm_is_spread_over_a_set_whose_first_device_is_its_own(tmp_path: Path) -> None:
    spec = read(tmp_path, **_llm("gpu1+gpu0", args=["--tensor-parallel-size", "2"]))
    assert spec.places["llm"] == (Place("gpu1+gpu0"),)
    assert spec.device == "GPU-1234" and [*spec.devices] == ["gpu1", "gpu0"]
    assert spec.places["stt"] == (Place("gpu1"),)
    places = ["gpu0", "gpu0+gpu1"]
    spec = read(tmp_path, **_llm("gpu0+gpu1", search_space={"llm.place": places}))
    assert spec.places["llm"] == (Place("gpu0"), Place("gpu0+gpu1")) and spec.device == "0"
    assert spec.baseline.values["llm.place"] == "gpu0+gpu1"
    spec = read(tmp_path, **_llm("gpu1+gpu0", search_space={}))  # the baseline alone says it
    assert spec.device == "GPU-1234" and spec.places["stt"] == (Place("gpu1"),)


SEARCHED = {"search_space": {"stt.place": ["gpu0", "gpu2"]}, "baseline": {"stt.place": "gpu0"}}


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"device": "cuda"}, "device: it stands beside `devices:`"),
        ({"devices": {}}, "devices: it names no device"),
        ({"devices": {"gpu0": 0, "gpu1": 0}}, "devices.gpu1: gpu0 is the same device"),
        ({"devices": {"gpu0": "a100"}}, "devices.gpu0: 'a100' is no device"),
        ({"devices": {"gpu0": "cpu"}}, "devices.gpu0: gpu0 is cpu"),
        ({"devices": {"cpu": 0}}, "devices.cpu: cpu is 0"),
        ({"devices": {"GPU 0": 0}}, "devices.GPU 0: 'GPU 0' cannot name a device"),
        ({"devices": [0, 1]}, "devices: a list is not a mapping"),
        ({"budget": {"allow_gpu": False}}, "budget.allow_gpu: it forbids the GPU that `devices`"),
        ({"stt": {**OURS, "place": "gpu2"}}, "services.stt.place: there is no device 'gpu2'"),
        ({"stt": {**OURS, "place": "gpu1/int9"}}, "CTranslate2 has no 'int9'"),
        ({"stt": {**OURS, "place": "gpu1", "device": "cpu"}}, "services.stt.device: services.stt"),
        ({"stt": {"command": SERVER, "place": "gpu1/int8"}}, "stt takes no number format"),
        ({"others": {"llm": {"place": "gpu9"}}}, "services.llm.place: there is no device 'gpu9'"),
        (SEARCHED, "search_space.stt.place: there is no device 'gpu2'"),
        (
            {
                "search_space": {"llm.place": ["gpu0", "gpu1"]},
                "baseline": {"llm.place": "gpu0"},
            },
            "search_space.llm.place: its share is told of one device, the first of its place; let",
        ),
        (
            _llm("gpu0", env={"CUDA_VISIBLE_DEVICES": "1"}),
            "services.llm.env.CUDA_VISIBLE_DEVICES: the place of a service says which GPUs it sees",
        ),
        (
            _llm("gpu0", env={"CUDA_DEVICE_ORDER": "FASTEST_FIRST"}),
            "services.llm.env.CUDA_DEVICE_ORDER: CUDA would count GPUs otherwise than the study",
        ),
        (_llm("gpu0+gpu1/"), "services.llm.place: 'gpu0+gpu1/' names no number format; write gpu0"),
        (
            _llm("cpu", search_space={"llm.place": ["gpu0", "cpu"]}),
            "its share is told of one device, the first of its place; let each begin with gpu0",
        ),
        (
            _llm(
                "gpu0+gpu1+gpu2",
                search_space={"llm.place": ["gpu0+gpu1+gpu2", "gpu0+gpu2+gpu1"]},
                devices={"gpu0": 0, "gpu1": 1, "gpu2": 2},
            ),
            "gpu0+gpu2+gpu1 is the same set as gpu0+gpu1+gpu2; write gpu0+gpu1+gpu2 once",
        ),
        (_llm("gpu0", args=["-tp", "0"]), "services.llm.args: tp is 0, and an LLM is on one"),
        (
            _llm("gpu0+gpu1", args=["--tensor-parallel", "4"]),
            "services.llm.args: tensor-parallel-size is 4, and its place has 2 devices",
        ),
        (
            _llm("gpu0", args=["--pipeline-par=2"]),
            "services.llm.args: pipeline-parallel-size spreads one LLM over several devices in a ",
        ),
        (
            _llm("gpu0+gpu1", args=["-tp", "9" * 5000]),
            "services.llm.args: tp is 999999999, and its place has 2 devices",
        ),
        (_llm("gpu0+gpu1+gpu2"), "services.llm.place: there is no device 'gpu2'"),
        (_llm("gpu0+gpu0"), "services.llm.place: it names a device twice; write gpu0"),
        (_llm("gpu0+cpu"), "services.llm.place: cpu is no part of a set; name GPUs alone"),
        (_llm("gpu0+gpu1", devices={"gpu0": 0, "gpu1": "MIG-12"}), "gpu1 is a MIG slice, of which"),
        (
            _llm("gpu0+gpu1", engine="sglang", args=["--mem-fraction-static", "0.5"]),
            "sglang is not",
        ),
        (_llm("gpu0+gpu1/int8"), "services.llm.place: llm takes no number format"),
        (
            _llm("gpu0+gpu1", args=["--tensor-parallel-size", "4"]),
            "services.llm.args: tensor-parallel-size is 4, and its place has 2 devices; remove it",
        ),
        (
            _llm("gpu0", search_space={"llm.place": ["gpu0", "gpu0+gpu1"]}, args=["-tp=2"]),
            "services.llm.args: tp is 2, and its place has 1 or 2 devices",
        ),
        (
            _llm("gpu0+gpu1", args=["--pipeline-parallel-size", "2"]),
            "services.llm.args: pipeline-parallel-size spreads one LLM over several devices in a ",
        ),
        ({"stt": {**OURS, "place": "gpu0+gpu1"}}, "services.stt.place: stt is on one device, and"),
        (
            {
                "search_space": {"llm.place": ["gpu0", "gpu0+gpu1"]},
                "baseline": {"llm.place": "gpu0"},
            },
            "search_space.llm.place: a template says itself over how many devices it is spread",
        ),
        (
            {
                "stt": {**OURS, "place": "gpu1/int8"},
                "baseline": {"whisper.compute_type": "float16"},
            },
            "baseline.whisper.compute_type: services.stt.place says it too",
        ),
        (
            {
                "stt": {**OURS, "place": "gpu1"},
                "search_space": {"stt.place": ["gpu0", "gpu1"]},
                "baseline": {"stt.place": "gpu0"},
            },
            "services.stt.place: search_space.stt.place says it too; remove one",
        ),
        (
            {"stt": {**OURS, "place": "gpu1"}, "baseline": {"stt.place": "gpu0"}},
            "services.stt.place: baseline.stt.place says it too; remove one",
        ),
        (
            {"stt": {**OURS, "place": "elsewhere"}, "devices": {"gpu0": 0, "cpu": None}},
            "there is no device 'elsewhere'; choose gpu0 or cpu",
        ),
        (
            {"stt": {**OURS, "place": ["gpu0", "gpu1"]}},
            "services.stt.place: a list stands where a single value belongs; write one value, or "
            "the list as stt.place in search_space",
        ),
        (
            {"tenants": [{"name": "game", "mib": 100, "device": "gpu7"}]},
            "there is no device 'gpu7'",
        ),
    ],
)
def test_what_names_no_device_is_refused(
    tmp_path: Path, keys: dict[str, Any], message: str
) -> None:
    with pytest.raises(BadInput) as error:
        read(tmp_path, **keys)
    assert message in str(error.value) and "two.yaml:" in str(error.value)
    assert "gpu0+cpu" not in str(error.value)  # no way out


def test_a_place_needs_names(tmp_path: Path) -> None:
    path = tmp_path / "one.yaml"
    services = {**FAKES["services"], "stt": {**OURS, "place": "gpu1"}}
    path.write_text(yaml.safe_dump({**FAKES, "services": services}, sort_keys=False))
    with pytest.raises(BadInput, match=r"services.stt.place: it names a device.*devices: \{gpu0"):
        load(path)
