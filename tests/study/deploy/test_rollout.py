"""Which promotion may reach production, what becomes of its values, how a soak judges, and a chain that holds."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from commands import run_script

from objectives.devices.device import Identity, Occupant, Sample
from objectives.errors import BadInput, SetupError
from study.deploy.admission import Admitted, admit
from study.deploy.apply import commit
from study.deploy.change import first_version
from study.deploy.config.deployment import (
    Deployed,
    Deployment,
    EnvFile,
    Services,
    Setting,
    Stack,
    Thresholds,
)
from study.deploy.config.values import assignments, text_of
from study.deploy.errors import StepFailed
from study.deploy.health.free_memory import wait_for_memory
from study.deploy.health.soak import Figures, judge
from study.deploy.plan import check_times
from study.deploy.rollback import rollback
from study.deploy.state.versions import Chain, Version
from study.deploy.status import history
from study.deploy.targets.env_file import EnvTarget
from study.promotion.seal import put
from study.systemd.systemctl import DEPLOY, LEND, WayOut, run
from study.systemd.unit_file import exec_start, values_of, with_flag

SHARE = Setting(flag="--gpu-memory-utilization", low=0.1, high=0.9)
SIZE = Setting(variable="WHISPER_MODEL", choices={"tiny": "tiny", "base": "/models/base"})
SEATS = Setting(flag="--max-num-seqs", low=1, high=256, whole=True)
DEPLOYMENT = Deployment(
    name="voice",
    services=Services(
        llm=Deployed(
            set={"vllm_memory_util": SHARE, "vllm.max_num_seqs": SEATS}, unit="judge.service"
        ),
        stt=Deployed(set={"whisper_model_size": SIZE}, unit="whisper.service"),
    ),
)
NOW = datetime.now(UTC)
PROMOTION: Mapping[str, Any] = {
    "status": "confirmed",
    "measured_elsewhere": False,
    "parameters": {"vllm_memory_util": 0.55, "whisper_model_size": "base"},
    "metrics": {"winner": {"kv_tokens": 1000, "free_memory_mib": 500.0, "stt_memory_mib": 600.0}},
    "device": {"uuid": "GPU-1", "driver": "580.1"},
    "versions": {"llm": {}, "stt": {"faster-whisper": "1.2.1"}},
    "commands": {"stt": "python t.py --compute-type int8 --beam-size 5"},
    "confirmation": {"verdict": "confirmed", "cards": ["GPU-1"], "drivers": ["580.1"]},
    "written_at": NOW.isoformat(),
}


class Card:
    """A device that says what it is told to; each look takes the next of its free figures."""

    server_env: Mapping[str, str] = {}

    def __init__(
        self, uuid: str = "GPU-1", driver: str = "580.1", free: tuple[float, ...] = (9000.0,)
    ) -> None:
        self.identity = Identity("Card", uuid, 12_000.0, driver, "13.0")
        self.free = list(free)

    def sample(self) -> Sample:
        return Sample(0.0, self.free.pop(0) if len(self.free) > 1 else self.free[0])

    def occupants(self) -> list[Occupant]:
        return [Occupant(7, "a game", 3000.0, None)]

    def held_mib(self, pid: int) -> float | None:
        return None


def admitted(
    folder: Path, *, i_know: bool = False, card: Card | None = None, **changed: Any
) -> Admitted:
    file = folder / "p.yaml"
    put({**PROMOTION, **changed}, file)
    return admit(file, DEPLOYMENT, card or Card(), i_know=i_know)


def test_a_confirmed_promotion_of_this_machine_is_admitted_with_its_figures(tmp_path: Path) -> None:
    found = admitted(tmp_path)
    assert [a.text for a in found.assigned] == ["0.55", "/models/base"]
    assert (found.kv_tokens, found.share, found.stt_mib) == (1000, 0.55, 600.0)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"status": "candidate"}, r"not confirmed \(status: candidate\).*confirm.py.*--i-know"),
        ({"status": "replay"}, "replayed from measurements of elsewhere"),
        ({"confirmation": None}, "its status is confirmed and its confirmation is not"),
        (
            {"confirmation": {"verdict": "rejected"}},
            "its status is confirmed and its confirmation is not",
        ),
        (
            {"confirmation": {"verdict": "confirmed", "cards": ["GPU-2"]}},
            "confirmed on device GPU-2, here is GPU-1",
        ),
        (
            {"confirmation": {"verdict": "confirmed", "drivers": ["570.0"]}},
            "confirmed on driver 570.0, here is 580.1",
        ),
        ({"measured_elsewhere": True}, "replayed from measurements of elsewhere"),
        ({"status": "rejected"}, "ended rejected"),
        ({"status": "inconclusive"}, "ended inconclusive"),
        ({"status": ["confirmed"]}, "not confirmed"),
        ({"written_at": (NOW - timedelta(days=31)).isoformat()}, "31 days old, max_age_days is 30"),
        ({"written_at": (NOW + timedelta(days=3)).isoformat()}, "in the future"),
        ({"written_at": "yesterday"}, "does not say when"),
        (
            {"device": {"uuid": "GPU-2", "driver": "580.1"}},
            "measured on device GPU-2, here is GPU-1",
        ),
        (
            {"device": {"uuid": "GPU-1", "driver": "570.0"}},
            "measured on driver 570.0, here is 580.1",
        ),
        ({"device": None}, "measured on device None"),
        ({"parameters": {"vllm_memory_util": 0.75}}, "out of bounds; it must be from 0.3 to 0.7"),
        ({"parameters": {"vllm_memory_util": float("nan")}}, "out of bounds"),
        ({"parameters": {"vllm_memory_util": 10**400}}, "out of bounds"),
        ({"parameters": {"vllm_memory_util": True}}, "is no number"),
        ({"parameters": {"vllm_memory_util": "0.5"}}, "is no number"),
        ({"parameters": {"vllm.max_num_seqs": 8.0}}, "is no whole number"),
        ({"parameters": {"vllm.max_model_len": 8}}, "does not map; choose"),
        ({"parameters": {"whisper_model_size": "/models/base"}}, "not one of the choices"),
        ({"parameters": {"whisper_model_size": "base\nUser=root"}}, "not one of the choices"),
        ({"parameters": {}}, "sets no parameter"),
        ({"parameters": "vllm_memory_util=0.5"}, "has no parameters"),
    ],
)
def test_what_may_not_be_applied_is_refused_in_one_sentence(
    tmp_path: Path, changed: dict[str, Any], said: str
) -> None:
    with pytest.raises(BadInput, match=said) as refused:
        admitted(tmp_path, **changed)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("status", ["rejected", "inconclusive", "replay", "nonsense"])
def test_i_know_admits_a_candidate_and_nothing_else(tmp_path: Path, status: str) -> None:
    assert admitted(tmp_path, i_know=True, status="candidate").status == "candidate"
    with pytest.raises(BadInput):
        admitted(tmp_path, i_know=True, status=status)
    with pytest.raises(BadInput, match="out of bounds"):
        admitted(tmp_path, i_know=True, status="candidate", parameters={"vllm_memory_util": 0.9})


@pytest.mark.parametrize("verb", ["plan", "apply"])
@pytest.mark.parametrize(
    ("status", "said"),
    [("rejected", "ended rejected; nothing overrides that"), ("replay", "it was replayed from")],
)
def test_what_can_never_be_applied_is_refused_where_there_is_no_deployment_and_no_device(
    tmp_path: Path, verb: str, status: str, said: str
) -> None:
    put({**PROMOTION, "status": status}, tmp_path / "p.yaml")
    ran = run_script("promote.py", verb, "p.yaml", "--i-know", cwd=tmp_path)
    assert (ran.returncode, said in ran.stderr) == (2, True), ran.stderr


def test_what_was_confirmed_with_a_wide_margin_says_so_before_it_is_applied(tmp_path: Path) -> None:
    usual = admitted(tmp_path)
    assert not [s for s in usual.said if "worse" in s]
    confirmation = {
        **PROMOTION["confirmation"],
        "margin_pct": 5.0,
        "margins_pct": {"llm_tpot_ms": 100.0},
    }
    found = admitted(tmp_path, confirmation=confirmation)
    assert "it was confirmed although llm_tpot_ms may be 100 % worse" in found.said


def test_i_know_does_not_admit_a_changed_file(tmp_path: Path) -> None:
    admitted(tmp_path)
    file = tmp_path / "p.yaml"
    file.write_text(file.read_text().replace("0.55", "0.60"))
    with pytest.raises(BadInput, match="changed after it was sealed"):
        admit(file, DEPLOYMENT, Card(), i_know=True)


def with_stack(stack: Stack) -> Deployment:
    stt = replace(DEPLOYMENT.services.stt, stack=stack)
    return replace(DEPLOYMENT, services=replace(DEPLOYMENT.services, stt=stt))


def test_a_speech_unit_that_needs_more_than_the_winner_leaves_is_refused(tmp_path: Path) -> None:
    admitted(tmp_path)
    admit(tmp_path / "p.yaml", with_stack(Stack(peak_mib=1100)), Card())
    with pytest.raises(BadInput, match=r"needs 1,101 MiB, the winner leaves 1,100"):
        admit(tmp_path / "p.yaml", with_stack(Stack(peak_mib=1101)), Card())


def test_another_speech_stack_is_told(tmp_path: Path) -> None:
    admitted(tmp_path)
    said = admit(
        tmp_path / "p.yaml", with_stack(Stack("whisper.cpp", "float16", 5, 100)), Card()
    ).said
    assert (
        "the speech stack differs: library is whisper.cpp in production, faster-whisper was measured"
        in said
    )
    assert (
        "the speech stack differs: compute_type is float16 in production, int8 was measured" in said
    )
    assert not any("beam_size" in line for line in said)


def test_another_server_version_is_refused(tmp_path: Path) -> None:
    stt = replace(DEPLOYMENT.services.stt, python=__import__("sys").executable)
    deployment = replace(DEPLOYMENT, services=replace(DEPLOYMENT.services, stt=stt))
    admitted(tmp_path, versions={"llm": {}, "stt": {"faster-whisper": "0.1"}})
    with pytest.raises(
        BadInput, match=r"measured with faster-whisper 0.1, .* runs here; confirm it anew"
    ):
        admit(tmp_path / "p.yaml", deployment, Card())


def test_the_dead_man_must_not_fire_in_a_change_that_goes_well() -> None:
    with pytest.raises(BadInput, match=r"write `dead_man_s: 1820` or more"):
        check_times(replace(DEPLOYMENT, dead_man_s=600))


def test_numbers_become_the_text_that_the_trial_used() -> None:
    found = assignments({"vllm_memory_util": 0.1 + 0.3, "vllm.max_num_seqs": 8}, DEPLOYMENT)
    assert [(a.setting.flag, a.text) for a in found] == [
        ("--gpu-memory-utilization", "0.4"),
        ("--max-num-seqs", "8"),
    ]


UNIT = """
# ExecStart=/no
[Service]
ExecStart=/opt/py -m vllm \\
  # a comment between
  --port 8000 --gpu-memory-utilization 0.5 \\
  --name "a b; %i" ${MORE}
[Install]
ExecStart=/not/this
"""


def test_a_flag_is_set_in_the_users_own_words() -> None:
    command = exec_start([UNIT], "judge.service")
    words = '/opt/py -m vllm --port 8000 --gpu-memory-utilization 0.6 --name "a b; %i" ${MORE}'
    assert with_flag(command, "--gpu-memory-utilization", "0.6").split() == words.split()


@pytest.mark.parametrize(
    "word",
    ["'--max-num-seqs=4'", '"--max_num_seqs=4"', '--max-num-seqs="4"', "'--max-num-seqs' '4'"],
)
def test_a_flag_in_quotes_is_replaced_too_and_not_given_twice(word: str) -> None:
    found = with_flag(f"/vllm serve {word} --name 'a b'", "--max-num-seqs", "8")
    assert values_of(shlex.split(found), "--max-num-seqs") == ["8"]
    assert found.endswith(" --name 'a b'")


def test_a_later_file_replaces_the_command_and_two_commands_are_refused() -> None:
    assert exec_start([UNIT, "[Service]\nExecStart=\nExecStart=/b\n"], "u") == "/b"
    with pytest.raises(BadInput, match="2 ExecStart= lines"):
        exec_start([UNIT, "[Service]\nExecStart=/b\n"], "u")
    with pytest.raises(BadInput, match="several commands"):
        exec_start(["[Service]\nExecStart=/a ; /b\n"], "u")


@pytest.mark.parametrize(
    "command",
    [
        "-/bin/bash -c 'vllm --gpu-memory-utilization 0.5'",
        'bash -lc "cd /srv && vllm serve m"',
        "/bin/bash -ec 'vllm serve m'",
        "/usr/bin/env sh -c 'vllm serve m'",
        "/usr/bin/nice -n 5 /bin/bash -l -c 'vllm serve m'",
        '"/bin/sh" "-c" "vllm serve m"',
    ],
)
def test_a_command_inside_a_shell_is_refused_since_a_flag_behind_it_would_reach_only_the_shell(
    command: str,
) -> None:
    with pytest.raises(BadInput, match=r"a shell \((ba)?sh -c\)"):
        exec_start([f"[Service]\nExecStart={command}\n"], "u")


def test_a_large_number_keeps_all_its_digits() -> None:
    setting = Setting(flag="--max-num-batched-tokens", low=1, high=1e7)
    assert text_of("vllm.max_num_batched_tokens", 1_048_577, setting) == "1048577"


LIMITS = Thresholds(min_requests=10, p95_ratio=1.3, p95_slack_ms=50, failure_rate_points=1.0)
GOOD = {"llm": Figures(20, 0, 1000.0, 100, 2000.0), "stt": Figures(20, 0, 200.0)}


@pytest.mark.parametrize(
    ("llm", "complaint"),
    [
        (Figures(20, 0, 1349.0, 100, 2600.0), None),
        (Figures(20, 0, 1351.0, 100, 2000.0), "llm: p95 1,351 ms, at most 1,350"),
        (Figures(20, 1, 900.0, 100, 2000.0), "llm: 1 of 20 probes failed"),
        (Figures(20, 20, None), "llm: 20 of 20 probes failed"),
        (Figures(20, 0, 900.0, 100, 2700.0), "llm: p95 of its own traffic 2,700 ms"),
        (Figures(20, 0, 900.0, 9, 99_000.0), None),
        (Figures(0, 0, None, 0, None), None),
    ],
)
def test_a_window_is_judged_like_with_like(llm: Figures, complaint: str | None) -> None:
    complaints, unknown = judge({"llm": llm, "stt": GOOD["stt"]}, GOOD, LIMITS)
    assert [c[: len(complaint or "")] for c in complaints] == ([complaint] if complaint else [])
    assert ("llm: too little traffic of its own" in unknown) == (llm.requests < 10)


def version(values: Mapping[str, Any]) -> Version:
    return Version(-1, {"llm": values, "stt": {}}, {"judge.service": "abc"}, {})


def chain_of(folder: Path, n: int) -> Chain:
    chain = Chain(folder)
    for k in range(n):
        made = chain.draft(
            version({"vllm_memory_util": f"0.{k + 3}"}), {"judge.service.conf": f"# {k}\n"}
        )
        chain.put_in_force(made.number)
    return chain


def test_the_chain_leads_from_the_version_in_force_to_the_first(tmp_path: Path) -> None:
    chain = chain_of(tmp_path, 3)
    assert [v.number for v in chain.history()] == [2, 1, 0]
    assert [v.parent for v in chain.history()][:2] == [v.sha256 for v in chain.history()][1:]
    draft = chain.draft(version({}), {})
    assert draft.number == 3 and [v.number for v in chain.history()] == [2, 1, 0]
    chain.discard(3)
    chain.discard(2)
    assert [v.number for v in chain.history()] == [2, 1, 0]


@pytest.mark.parametrize("number", [0, 1, 2])
@pytest.mark.parametrize("name", ["version.json", "judge.service.conf"])
def test_a_version_that_was_changed_breaks_the_chain_by_name(
    tmp_path: Path, number: int, name: str
) -> None:
    chain = chain_of(tmp_path, 3)
    file = chain.path(number) / name
    file.write_text(file.read_text().replace('"0.', '"0.9').replace("# ", "# more "))
    with pytest.raises(BadInput, match=rf"version {number} was changed after it was written"):
        chain.history()


def test_a_version_whose_hash_was_made_again_breaks_the_chain_at_the_next(tmp_path: Path) -> None:
    chain = chain_of(tmp_path, 3)
    file = chain.path(1) / "version.json"
    forged = replace(chain.read(1), author="somebody")
    file.write_text(
        json.dumps(
            {**json.loads(file.read_text()), "author": "somebody", "sha256": forged.digest()}
        )
    )
    with pytest.raises(BadInput, match="what came before version 2 is missing"):
        chain.history()


def test_memory_is_waited_for_and_its_holder_is_named() -> None:
    assert wait_for_memory(Card(free=(1000.0, 5000.0, 9000.0, 9001.0)), 8000.0, 5.0) == 9001.0
    with pytest.raises(
        StepFailed, match=r"1,000 MiB are free of 8,000 needed; held by a game \(pid 7\)"
    ):
        wait_for_memory(Card(free=(1000.0,)), 8000.0, 0.6)


def test_an_env_file_with_keys_stays_as_secret_as_it_was(tmp_path: Path) -> None:
    file = tmp_path / "voice.env"
    file.write_text("SHARE=0.5\nWHISPER_MODEL=base\nKEY=secret\n")
    file.chmod(0o600)
    services = Services(
        llm=Deployed(set={"vllm_memory_util": Setting(variable="SHARE", low=0.1, high=0.9)}),
        stt=Deployed(set={"whisper_model_size": SIZE}),
    )
    way = EnvFile(str(file), ("/bin/true",))
    deployment = Deployment(
        name="voice", services=services, env_file=way, state=str(tmp_path / "state")
    )
    target = EnvTarget(deployment, way)
    first = first_version(deployment, target)
    target.try_on(target.files({"llm": {"vllm_memory_util": "0.6"}, "stt": {}}))
    kept = Chain(deployment.folder).path(first.number) / "env"
    assert "SHARE=0.6" in file.read_text() and "KEY=secret" in kept.read_text()
    assert [f.stat().st_mode & 0o777 for f in (file, kept)] == [0o600, 0o600]
    target.take_off()
    assert "SHARE=0.5" in file.read_text() and file.stat().st_mode & 0o777 == 0o600


def test_where_nothing_was_ever_applied_it_says_so_and_leaves_no_folder(tmp_path: Path) -> None:
    services = Services(
        llm=Deployed(set={"vllm_memory_util": SHARE}),
        stt=Deployed(set={"whisper_model_size": SIZE}),
    )
    way = EnvFile(str(tmp_path / "voice.env"), ("/bin/true",))
    deployment = Deployment(
        name="voice", services=services, env_file=way, state=str(tmp_path / "state")
    )
    with pytest.raises(BadInput, match="nothing was ever applied"):
        rollback(deployment)
    with pytest.raises(BadInput, match="nothing is on trial"):
        commit(deployment)
    assert list(history(deployment)) == [f"nothing was ever applied under {tmp_path}/state/voice"]
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize("way_out", [DEPLOY, LEND])
def test_where_no_systemd_runs_that_is_said_and_not_what_failed(way_out: WayOut) -> None:
    script = "echo 'Failed to connect to bus: Host is down' >&2; exit 1"
    with pytest.raises(
        SetupError, match=rf"^no systemd runs on this machine; {way_out.no_systemd}"
    ):
        run("sh", "-c", script, way_out=way_out)
