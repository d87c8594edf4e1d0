"""Where nothing was ever applied, there is nothing to take back."""

from __future__ import annotations

from pathlib import Path

import pytest

from objectives.errors import BadInput
from study.deploy.commit import commit
from study.deploy.config.deployed import Binding, Deployed
from study.deploy.config.deployment import Deployment, EnvFile
from study.deploy.rollback import rollback
from study.deploy.status import history_lines

SHARE = Binding(flag="--gpu-memory-utilization", low=0.1, high=0.9)
SIZE = Binding(variable="WHISPER_MODEL", choices={"tiny": "tiny", "base": "/models/base"})


def test_where_nothing_was_ever_applied_it_says_so_and_leaves_no_folder(tmp_path: Path) -> None:
    services = {
        "llm": Deployed(set={"vllm_memory_util": SHARE}),
        "stt": Deployed(set={"whisper_model_size": SIZE}),
    }
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
