"""Two units that run on a real systemd become a spec, which the study takes, and a deployment."""

import sys
from dataclasses import replace

import pytest
import yaml
from fake_servers.fake_http import free_port
from made.factories import Card
from rigs.production_rig import begin_forked
from rigs.systemd_rig import REPOSITORY, UNITS, rig, wait_until

from objectives.errors import BadInput
from study.init_spec import gpu_processes as observing
from study.init_spec import service_entries
from study.init_spec.forms.running import Running
from study.init_spec.gpu_processes import observe
from study.init_spec.servers import speech_unit
from study.init_spec.servers.llm_unit import read_llm
from study.init_spec.servers.speech_unit import read_stt
from study.init_spec.service_entries import entry_of_speech

INIT = str(REPOSITORY / "scripts/init_spec.py")
SERVER = "import time\ntime.sleep(1000)\n"
JUDGE = """
[Service]
WorkingDirectory=/opt
Environment=PYTHONPATH=/opt/site "HF_HOME=/opt/a b" VLLM_API_KEY=hidden SECRET_THING=hidden
ExecStart={python} -m vllm.entrypoints.openai.api_server --model models/llm \\
    --gpu_memory_utilization=0.45 --max-model-len 2048 --port 8123 \\
    --served-model-name judge other --api-key hidden --enforce-eager
Restart=on-failure
"""
ASSISTANT = """
[Service]
EnvironmentFile=/etc/assistant.env
Environment=COMPUTE=int8_float16 BEAM_SIZE=3
ExecStart={python} /opt/assistant.py
"""


@pytest.fixture(scope="module")
def machine():
    with rig() as booted:
        for part in ("", "/entrypoints", "/entrypoints/openai"):
            booted.write(f"/opt/site/vllm{part}/__init__.py", "")
        booted.write("/opt/site/vllm/entrypoints/openai/api_server.py", SERVER)
        booted.write(
            "/opt/site/vllm-0.26.0.dist-info/METADATA",
            "Metadata-Version: 2.1\nName: vllm\nVersion: 0.26.0\n",
        )
        booted.write("/opt/models/llm/config.json", '{"vocab_size": 2048}')
        for size, length in (("tiny", 10), ("base", 20)):
            booted.write(f"/opt/models/whisper/{size}/model.bin", "x" * length)
        booted.write("/opt/assistant.py", SERVER)
        booted.write(
            "/etc/assistant.env", '# a comment\nWHISPER_MODEL="/opt/models/whisper/base"\n'
        )
        booted.write(f"{UNITS}/judge.service", JUDGE.format(python=sys.executable))
        booted.write(f"{UNITS}/assistant.service", ASSISTANT.format(python=sys.executable))
        booted.systemctl("daemon-reload")
        booted.systemctl("start", "judge.service", "assistant.service")
        wait_until(lambda: "api_server" in booted.run("pgrep", "-af", "api_server", check=False))
        yield booted


def init(machine, *words):
    process = begin_forked(machine, INIT, *words)
    output, _ = process.communicate(timeout=60)
    return process.returncode, output


def test_the_spec_and_the_deployment_say_what_runs_and_the_study_takes_the_spec(machine):
    files = ("--device", "cpu", "--out", "/root/my.yaml", "--deployment", "/root/deployment.yaml")
    line = (INIT, "--unit", "judge.service", "--unit", "assistant.service", *files)
    process = machine.begin(*line)  # an interpreter of its own, as its user starts it
    output, _ = process.communicate(timeout=60)
    code = process.returncode
    assert code == 0 and "today: 0.45 of the memory for /opt/models/llm, speech base" in output, (
        output
    )
    text = machine.read("/root/my.yaml")
    spec = yaml.safe_load(text)
    assert "hidden" not in text + machine.read("/root/deployment.yaml")
    assert spec["baseline"] == {"vllm_memory_util": 0.45, "whisper_model_size": "base"}
    assert spec["search_space"] == {
        "vllm_memory_util": [0.35, 0.4, 0.45, 0.5, 0.55],
        "whisper_model_size": ["tiny", "base"],
    }
    llm, stt = spec["services"]["llm"], spec["services"]["stt"]
    assert llm["python"] == stt["python"] == sys.executable
    assert llm["args"] == ["--max-model-len", "2048", "--enforce-eager"]
    assert llm["env"] == {"HF_HOME": "/opt/a b"}
    assert (stt["compute_type"], stt["beam_size"]) == ("int8_float16", 3)
    deployed = yaml.safe_load(machine.read("/root/deployment.yaml"))["services"]
    assert deployed["llm"]["probe"] == {
        "kind": "completion",
        "url": "http://127.0.0.1:8123/v1/completions",
        "model": "judge",
    }
    assert deployed["llm"]["restart_always"] is True
    assert deployed["stt"]["probe"] == {"kind": "none"} and "health_url" not in deployed["stt"]
    assert deployed["stt"]["set"] == {
        "whisper_model_size": {
            "variable": "WHISPER_MODEL",
            "choices": {s: f"/opt/models/whisper/{s}" for s in ("tiny", "base")},
        }
    }
    study = machine.begin(
        str(REPOSITORY / "scripts/run_study.py"), "/root/my.yaml", "--dry-run", site="/opt/site"
    )
    plan, _ = study.communicate(timeout=60)
    assert study.returncode == 0 and "vllm_memory_util=0.45 whisper_model_size=base" in plan, plan


SLEEPS = {
    "notes-proxy.socket": "[Socket]\nListenStream=127.0.0.1:{port}\n",
    "notes-proxy.service": "[Unit]\nRequires=notes.service\nAfter=notes.service\n[Service]\n"
    "ExecStart=/usr/lib/systemd/systemd-socket-proxyd --exit-idle-time=90 127.0.0.1:8124\n",
    "notes.service": "[Unit]\nStopWhenUnneeded=true\n[Service]\n"
    "ExecStart={python} -m faster_whisper_server --model base --port 8124\n",
}


def test_a_unit_that_sleeps_is_read_asleep_and_whether_to_is_searched(machine):
    port = free_port()
    for name, text in SLEEPS.items():
        machine.write(f"{UNITS}/{name}", text.format(port=port, python=sys.executable))
    machine.systemctl("daemon-reload")
    machine.systemctl("start", "notes-proxy.socket")
    files = ("--device", "cpu", "--out", "/root/s.yaml", "--deployment", "/root/s_d.yaml")
    code, output = init(machine, "--unit", "judge.service", "--unit", "notes.service", *files)
    assert code == 0 and "stt sleeps until notes-proxy.socket wakes it" in output, output
    spec = yaml.safe_load(machine.read("/root/s.yaml"))
    stt = spec["services"]["stt"]
    assert (stt["woken_by"], stt["idle_s"]) == ("socket_activation", 90)
    assert spec["search_space"]["stt.resident"] == [True, False]
    assert spec["baseline"]["stt.resident"] is False
    assert yaml.safe_load(machine.read("/root/s_d.yaml"))["not_set"] == ["stt.resident"]
    assert machine.systemctl("is-active", "notes.service", check=False) == "inactive"


@pytest.mark.parametrize(
    ("units", "why"),
    [
        (["judge.service", "nope.service"], "no such unit"),
        (["judge.service", "judge.service"], "one must"),
        (["assistant.service", "judge.service", "--size", "--x"], "--size"),
    ],
)
def test_what_cannot_be_read_is_one_line_and_writes_nothing(machine, units, why):
    words = [w for u in units[:2] for w in ("--unit", u)]
    code, output = init(machine, *words, *units[2:], "--device", "cpu", "--out", "/root/no.yaml")
    assert (
        code == 2
        and why in output.replace("one --unit must", "one must")
        and "Traceback" not in output
    ), output
    assert not (machine.root / "root/no.yaml").exists()


def test_an_existing_file_is_never_overwritten(machine):
    machine.write("/root/there.yaml", "mine")
    code, output = init(
        machine,
        "--unit",
        "judge.service",
        "--unit",
        "assistant.service",
        "--out",
        "/root/there.yaml",
    )
    assert code == 2 and "exists" in output and machine.read("/root/there.yaml") == "mine"


def unit(*argv, env=None, folder="/"):
    from pathlib import Path

    return Running("u.service", tuple(argv), env or {}, Path(folder), "no", (1,), ())


def test_vllm_serve_names_its_model_first():
    llm = read_llm(
        unit(
            "/opt/bin/python3",
            "/opt/bin/vllm",
            "serve",
            "org/model",
            "--gpu-memory-utilization",
            "0.6",
        )
    )
    expected = ("org/model", 0.6, (), 8000, "org/model")
    assert (llm.model, llm.share, llm.args, llm.port, llm.served_model) == expected


def test_a_unit_without_a_share_has_vllms_own_and_says_so():
    llm = read_llm(
        unit("/opt/bin/python3", "-m", "vllm.entrypoints.openai.api_server", "--model", "a/b")
    )
    assert llm.share == 0.92 and "sets no --gpu-memory-utilization" in llm.notes[0]


@pytest.mark.parametrize(
    ("flag", "env", "reason"),
    [
        ("--kv_cache_memory_bytes=8G", {}, "--kv-cache-memory-bytes: "),
        ("--kv-cache-memory=8", {}, "--kv-cache-memory-bytes: "),
        ("--enforce-eager", {"VLLM_CPU_KVCACHE_SPACE": "4"}, "VLLM_CPU_KVCACHE_SPACE=4: "),
    ],
)
def test_a_unit_whose_share_is_overridden_is_refused(flag, env, reason):
    with pytest.raises(BadInput, match=f"u.service has {reason}it sets the KV cache whatever the "):
        read_llm(unit("/opt/bin/python3", "/opt/bin/vllm", "serve", "a/b", flag, env=env))


def test_another_name_of_the_share_is_read_and_a_startup_plan_is_left_out():
    env = {"VLLM_ENABLE_STARTUP_PLAN": "1", "VLLM_USE_V1": "1"}
    flags = ("--device-memory-utilization=0.4", "--gpu_memory_util", "0.6")
    llm = read_llm(unit("/opt/bin/python3", "/opt/bin/vllm", "serve", "a/b", *flags, env=env))
    assert (llm.share, llm.args, dict(llm.env)) == (0.6, (), {"VLLM_USE_V1": "1"})


@pytest.mark.parametrize("share", ["0", "1.5", "much", "1e-1000", ""])
def test_a_share_that_is_none_is_refused(share):
    with pytest.raises(BadInput, match="is no share"):
        read_llm(
            unit(
                "/opt/bin/python3",
                "/opt/bin/vllm",
                "serve",
                "a/b",
                f"--gpu-memory-utilization={share}",
            )
        )


@pytest.mark.parametrize(
    ("argv", "env", "size", "flag", "variable"),
    [
        (["--model", "small.en"], {}, "small.en", "--model", None),
        (["--whisper=Systran/faster-whisper-base"], {}, "base", "--whisper", None),
        ([], {"STT_SIZE": "medium"}, "medium", None, "STT_SIZE"),
    ],
)
def test_the_size_is_found_where_the_unit_names_it(argv, env, size, flag, variable):
    speech = read_stt(unit("/usr/bin/app", *argv, env=env))
    assert (speech.size, speech.flag, speech.variable) == (size, flag, variable)
    assert speech.models[size].startswith("Systran/")
    assert "measures Whisper by its own server" in speech.notes[0]
    own = read_stt(unit("python3", "/srv/objectives/transcriber.py", *argv, env=env))
    assert not any("by its own server" in note for note in own.notes)


def test_an_application_that_names_no_size_needs_to_be_told_the_variable():
    with pytest.raises(BadInput, match="--size WHISPER_MODEL=base"):
        read_stt(unit("/usr/bin/app"))
    speech = read_stt(unit("/usr/bin/app"), "APP_WHISPER=tiny")
    assert (speech.size, speech.variable) == (
        "tiny",
        "APP_WHISPER",
    ) and "nothing here can check" in speech.notes[0]


def test_the_reserve_is_what_the_others_grew_by(monkeypatch):
    monkeypatch.setattr(observing, "NEIGHBOUR_LOOK_S", 0.001)
    lines = []
    card = Card(game_mib=(100.0, 350.0, 200.0), unit="game.service")
    others = observe(card, lambda: {1}, 0.05, lines.append)
    assert (others.least_mib, others.peak_mib, others.reserve_mib, others.largest) == (
        100.0,
        350.0,
        250,
        "game.service",
    )
    assert len(lines) == 2


def test_memory_that_cannot_be_told_is_no_reserve():
    assert observe(Card(game_mib=(None,)), lambda: {1}, 0.0, print) is None


def test_a_size_that_is_not_on_the_machine_is_named_with_the_command_that_brings_it(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(speech_unit, "_found", {"Systran/faster-whisper-tiny": "here"}.get)
    [_, note] = read_stt(unit("/usr/bin/app", "--model", "small")).notes
    assert "sizes on this machine are searched (tiny, small)" in note
    assert "`hf download Systran/faster-whisper-base` first" in note
    for size in ("base", "small"):
        (tmp_path / size).mkdir()
        (tmp_path / size / "model.bin").write_text("x")
    [note] = read_stt(unit("/usr/bin/app", "--model", str(tmp_path / "small"))).notes
    assert "hf download" not in note


@pytest.mark.parametrize(
    ("words", "ports", "told"),
    [(("--port", "9000"), (), "9000"), ((), (8001,), "8001"), ((), (), "")],
)
def test_a_speech_server_with_an_address_that_does_not_answer_is_told_which_probe_to_write(
    words, ports, told, monkeypatch
):
    monkeypatch.setattr(service_entries, "http_status", lambda *_: None)
    speech = read_stt(replace(unit("/usr/bin/app", "--model", "small", *words), ports=ports))
    notes = []
    assert entry_of_speech(speech, None, notes)["probe"] == {"kind": "none"}
    probe = f"{{kind: transcription, url: http://127.0.0.1:{told}/v1/audio/transcriptions, model"
    assert any(probe in note for note in notes) is bool(told)
