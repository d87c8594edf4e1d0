"""A soak judges like with like, a chain of versions holds, and an env file keeps its secrets."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from objectives.devices.device import Occupant, Sample
from objectives.errors import BadInput
from study.deploy.change import first_version
from study.deploy.commit import commit
from study.deploy.config.deployed import Binding, Deployed
from study.deploy.config.deployment import Deployment, EnvFile, Services, Thresholds
from study.deploy.errors import StepFailed
from study.deploy.health.free_memory import wait_for_memory
from study.deploy.health.soak import WindowFigures, judge_window
from study.deploy.rollback import rollback
from study.deploy.state.version import Version
from study.deploy.state.versions import Chain
from study.deploy.status import history_lines
from study.deploy.targets.env_file import EnvTarget

SHARE = Binding(flag="--gpu-memory-utilization", low=0.1, high=0.9)
SIZE = Binding(variable="WHISPER_MODEL", choices={"tiny": "tiny", "base": "/models/base"})
LIMITS = Thresholds(min_requests=10, p95_ratio=1.3, p95_slack_ms=50, failure_rate_points=1.0)
GOOD = {"llm": WindowFigures(20, 0, 1000.0, 100, 2000.0), "stt": WindowFigures(20, 0, 200.0)}


class Card:
    """A device whose free memory is another at each look, and which a game shares."""

    def __init__(self, *free: float) -> None:
        self.free = list(free)

    def sample(self) -> Sample:
        return Sample(0.0, self.free.pop(0) if len(self.free) > 1 else self.free[0])

    def occupants(self) -> list[Occupant]:
        return [Occupant(7, "a game", 3000.0, None)]


@pytest.mark.parametrize(
    ("llm", "complaint"),
    [
        (WindowFigures(20, 0, 1349.0, 100, 2600.0), None),
        (WindowFigures(20, 0, 1351.0, 100, 2000.0), "llm: p95 1,351 ms, at most 1,350"),
        (WindowFigures(20, 1, 900.0, 100, 2000.0), "llm: 1 of 20 probes failed"),
        (WindowFigures(20, 20, None), "llm: 20 of 20 probes failed"),
        (WindowFigures(20, 0, 900.0, 100, 2700.0), "llm: p95 of its own traffic 2,700 ms"),
        (WindowFigures(20, 0, 900.0, 9, 99_000.0), None),
        (WindowFigures(0, 0, None, 0, None), None),
    ],
)
def test_a_window_is_judged_like_with_like(llm: WindowFigures, complaint: str | None) -> None:
    complaints, unknown = judge_window({"llm": llm, "stt": GOOD["stt"]}, GOOD, LIMITS)
    assert [c[: len(complaint or "")] for c in complaints] == ([complaint] if complaint else [])
    assert ("llm: too little traffic of its own" in unknown) == (llm.requests < 10)


def version(values: Mapping[str, Any]) -> Version:
    return Version(-1, {"llm": values, "stt": {}}, {"judge.service": "abc"}, {})


def chain_of(folder: Path, n: int) -> Chain:
    chain = Chain(folder)
    for k in range(n):
        draft = chain.draft(
            version({"vllm_memory_util": f"0.{k + 3}"}), {"judge.service.conf": f"# {k}\n"}
        )
        chain.put_in_force(draft.number)
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
    assert wait_for_memory(Card(1000.0, 5000.0, 9000.0, 9001.0), 8000.0, 5.0) == 9001.0
    with pytest.raises(
        StepFailed, match=r"1,000 MiB are free of 8,000 needed; held by a game \(pid 7\)"
    ):
        wait_for_memory(Card(1000.0), 8000.0, 0.6)


def test_an_env_file_with_keys_stays_as_secret_as_it_was(tmp_path: Path) -> None:
    file = tmp_path / "voice.env"
    file.write_text("SHARE=0.5\nWHISPER_MODEL=base\nKEY=secret\n")
    file.chmod(0o600)
    services = Services(
        llm=Deployed(set={"vllm_memory_util": Binding(variable="SHARE", low=0.1, high=0.9)}),
        stt=Deployed(set={"whisper_model_size": SIZE}),
    )
    way = EnvFile(str(file), ("/bin/true",))
    deployment = Deployment(
        name="voice", services=services, env_file=way, state=str(tmp_path / "state")
    )
    target = EnvTarget(deployment, way)
    first = first_version(deployment, target)
    target.try_on(target.files({"llm": {"vllm_memory_util": "0.6"}, "stt": {}}))
    copy = Chain(deployment.folder).path(first.number) / "env"
    assert "SHARE=0.6" in file.read_text() and "KEY=secret" in copy.read_text()
    assert [f.stat().st_mode & 0o777 for f in (file, copy)] == [0o600, 0o600]
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
    assert list(history_lines(deployment)) == [
        f"nothing was ever applied under {tmp_path}/state/voice"
    ]
    assert not (tmp_path / "state").exists()
