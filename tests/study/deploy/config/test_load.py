"""The deployment file has a complete example, and lets nothing but plain, bounded text through."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from textwrap import dedent

import pytest

from objectives.errors import BadInput
from study.deploy.config.deployment import Deployment
from study.deploy.config.load import load_deployment
from study.deploy.config.values import assignments
from study.deploy.targets.drop_in import Start, drop_in

EXAMPLE = (Path(__file__).parents[4] / "study/deploy/example.yaml").read_text()


def deployment_of(folder: Path, text: str) -> Deployment:
    file = folder / "deployment.yaml"
    file.write_text(text)
    file.chmod(0o644)
    return load_deployment(file)


def test_the_example_is_read(tmp_path: Path) -> None:
    deployment = deployment_of(tmp_path, EXAMPLE)
    assert tuple(s.unit for s in deployment.services.values()) == (
        "judge.service",
        "whisper.service",
    )
    assert deployment.services["stt"].set["whisper_model_size"].choices == {
        "tiny.en": "tiny.en",
        "base": "/models/base",
    }
    assert deployment.services["stt"].stack.peak_mib == 900 and deployment.folder == Path(
        "/etc/gpu-allocation/voice"
    )


def test_services_that_are_no_units_have_an_env_file(tmp_path: Path) -> None:
    text = """
        name: voice
        env_file: {path: /srv/voice.env, restart: [docker, compose, up, -d]}
        services:
          llm: {set: {vllm_memory_util: {variable: SHARE, low: 0.3, high: 0.7}}}
          stt: {set: {whisper_model_size: {variable: SIZE, choices: {base: base}}}}
    """
    assert deployment_of(tmp_path, dedent(text)).env_file is not None
    with pytest.raises(BadInput, match="an env_file only takes variables"):
        deployment_of(tmp_path, dedent(text).replace("variable: SHARE", "flag: --share"))


THIRD = """
  embed:
    unit: embed.service
    api: embeddings
    set: {embed.batch_size: {flag: --batch-size, low: 1, high: 64, whole: true}}
    probe: {kind: embeddings, url: http://127.0.0.1:7997/v1/embeddings, model: minilm}
"""


def test_a_third_service_has_an_api_and_its_own_parameters(tmp_path: Path) -> None:
    text = EXAMPLE.replace("\nstart_order:", f"{THIRD}start_order:")
    with pytest.raises(BadInput, match="it must name each service once"):
        deployment_of(tmp_path, text)
    text = text.replace("start_order: [stt,", "start_order: [stt, embed,")
    deployment = deployment_of(tmp_path, text)
    assert [(e.name, e.api) for e in deployment.engines()][2] == ("embed", "embeddings")
    [a] = assignments(
        {"embed.batch_size": 16, "unused": 1}, replace(deployment, not_set=("unused",))
    )
    assert (a.service, str(a)) == ("embed", "--batch-size 16")
    with pytest.raises(BadInput, match=r"services.embed.api: it is missing"):
        deployment_of(tmp_path, text.replace("    api: embeddings\n", ""))


def test_a_second_llm_has_an_api_and_its_own_parameters(tmp_path: Path) -> None:
    own = "    set: {tags.ctx_size: {flag: --ctx-size, low: 512, high: 65536, whole: true}}"
    probe = "    probe: {kind: chat, url: http://127.0.0.1:8080/v1/chat/completions}\n"
    third = f"\n  tags:\n    unit: tags.service\n    api: chat\n{own}\n{probe}"
    text = EXAMPLE.replace("\nstart_order:", f"{third}start_order:")
    deployment = deployment_of(
        tmp_path, text.replace("start_order: [stt,", "start_order: [stt, tags,")
    )
    assert [(e.name, e.api, e.prefix) for e in deployment.engines()][2] == ("tags", "chat", "tags.")
    [a] = assignments(
        {"tags.ctx_size": 8192, "unused": 1}, replace(deployment, not_set=("unused",))
    )
    assert (a.service, str(a)) == ("tags", "--ctx-size 8192")
    assert [e.name for e in deployment.engines() if e.has_share] == ["llm"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("name: voice", "name: ../voice", "cannot name a folder"),
        ("name: voice", "name: vöice", "cannot name a folder"),
        ("max_age_days: 30", "state: /etc/../tmp/x", "cannot name a folder"),
        ("max_age_days: 30", "signers: allowed_signers", "cannot name a folder or file"),
        ("max_age_days: 30", "signers: /etc/../home/x", "cannot name a folder or file"),
        ("--gpu-memory-utilization", "'--x;reboot'", "is no flag"),
        ("--gpu-memory-utilization", "'--x y'", "is no flag"),
        ("WHISPER_MODEL", "'A B'", "is no variable"),
        ("/models/base", "'/models/%n'", "no plain name or path"),
        ("/models/base", "'/models/a b'", "no plain name or path"),
        ("/models/base", '"/models/a\\nExecStart=/bin/sh"', "no plain name or path"),
        ("judge.service", "../judge.service", "is no service unit"),
        ("judge.service", "judge@.service", "NAME@INSTANCE.service"),
        ("judge.service", "whisper.service", "a unit of its own"),
        ("8000/health", "8000/$(id)", "no plain http address"),
        ("low: 1, high: 1024", "low: 9, high: 2", "bounds are missing"),
        ("low: 1, high: 1024", "low: one, high: 2", "is not a number"),
        ("low: 1, high: 1024, ", "", "bounds are missing"),
        ("start_order: [stt, llm]", "start_order: [stt, stt]", "name each service once"),
        ("windows: 5", "windows: 0", "out of range"),
        ("python: /opt", "python: opt", "no absolute path"),
        (
            "kind: completion, url: http://127.0.0.1:8000/v1/completions, ",
            "kind: completion, ",
            "needs an address",
        ),
        ("hold_days", "hold_dais", "did you mean hold_days"),
        ("device: cuda", "path: /x", "unknown key"),
    ],
)
def test_what_is_not_plain_and_bounded_is_refused_by_name(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    assert old in EXAMPLE
    with pytest.raises(BadInput, match=message):
        deployment_of(tmp_path, EXAMPLE.replace(old, new, 1))


def test_a_file_that_others_may_write_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "deployment.yaml"
    file.write_text(EXAMPLE)
    file.chmod(0o666)
    with pytest.raises(BadInput, match="chmod go-w"):
        load_deployment(file)


def test_the_set_of_an_llm_is_a_choice_of_its_unit_and_taken_back_as_one(tmp_path: Path) -> None:
    choices = '{gpu0: "1", gpu0+gpu1: "2"}'
    binding = f"      llm.place: {{flag: --tensor-parallel-size, choices: {choices}}}\n"
    line = next(x for x in EXAMPLE.splitlines(True) if x.strip().startswith("vllm_memory_util:"))
    deployment = deployment_of(tmp_path, EXAMPLE.replace(line, line + binding, 1))
    command = "/opt/vllm serve m --tensor-parallel-size 1 --gpu-memory-utilization 0.5"
    for place, size in (("gpu0+gpu1", "2"), ("gpu0", "1")):
        values = {"vllm_memory_util": 0.6, "llm.place": place}
        of_llm = [a for a in assignments(values, deployment) if a.service == "llm"]
        assert [a.text for a in of_llm if a.parameter == "llm.place"] == [size]
        text = drop_in(of_llm, command, "0", Start(), restart_always=False)
        assert f"ExecStart=/opt/vllm serve m --tensor-parallel-size {size} --gpu" in text
    with pytest.raises(BadInput, match=r"'gpu0\+gpu2' is not one of the choices"):
        assignments({"vllm_memory_util": 0.6, "llm.place": "gpu0+gpu2"}, deployment)
