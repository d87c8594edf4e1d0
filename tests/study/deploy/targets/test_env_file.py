"""An env file keeps its secrets, and its own lines."""

from __future__ import annotations

from pathlib import Path

import pytest

from objectives.errors import BadInput
from study.deploy.change import first_version
from study.deploy.config.deployed import Binding, Deployed
from study.deploy.config.deployment import Deployment, EnvFile
from study.deploy.state.versions import Chain
from study.deploy.targets.env_file import EnvTarget

SIZE = Binding(variable="WHISPER_MODEL", choices={"tiny": "tiny", "base": "/models/base"})


def deployed(file: Path) -> tuple[Deployment, EnvTarget]:
    services = {
        "llm": Deployed(set={"vllm_memory_util": Binding(variable="SHARE", low=0.1, high=0.9)}),
        "stt": Deployed(set={"whisper_model_size": SIZE}),
    }
    way = EnvFile(str(file), ("/bin/true",))
    state = str(file.parent / "state")
    deployment = Deployment(name="voice", services=services, env_file=way, state=state)
    return deployment, EnvTarget(deployment, way)


def test_an_env_file_with_keys_stays_as_secret_as_it_was(tmp_path: Path) -> None:
    file = tmp_path / "voice.env"
    file.write_text("SHARE=0.5\nWHISPER_MODEL=base\nKEY=secret\n")
    file.chmod(0o600)
    deployment, target = deployed(file)
    first = first_version(deployment, target)
    target.try_on(target.files({"llm": {"vllm_memory_util": "0.6"}, "stt": {}}))
    copy = Chain(deployment.folder).path(first.number) / "env"
    assert "SHARE=0.6" in file.read_text() and "KEY=secret" in copy.read_text()
    assert [f.stat().st_mode & 0o777 for f in (file, copy)] == [0o600, 0o600]
    target.take_off()
    assert "SHARE=0.5" in file.read_text() and file.stat().st_mode & 0o777 == 0o600


def test_a_trial_and_its_undoing_keep_every_byte_of_other_lines(tmp_path: Path) -> None:
    file = tmp_path / "voice.env"
    before = b"# gr\xfc\xdfe\r\nSHARE=0.5\r\nKEY='a\x0cb'\xa4\r\nWHISPER_MODEL=base"
    file.write_bytes(before)
    deployment, target = deployed(file)
    first = first_version(deployment, target)
    target.try_on(target.files({"llm": {"vllm_memory_util": "0.6"}, "stt": {}}))
    assert file.read_bytes() == before.replace(b"0.5", b"0.6") + b"\n"
    target.take_off()
    assert file.read_bytes() == before
    assert Chain(deployment.folder).read(first.number) == first


def test_what_was_changed_by_hand_since_a_version_survives_its_return(tmp_path: Path) -> None:
    file = tmp_path / "voice.env"
    file.write_text("KEY=old\nSHARE=0.5\n")
    deployment, target = deployed(file)
    first = first_version(deployment, target)
    own = Chain(deployment.folder).path(first.number)
    file.write_text("KEY=new\nSHARE=0.6\nWHISPER_MODEL=tiny\n")
    assert target.first_files(own) == {"env": "KEY=new\nSHARE=0.5\n"}
    target.take_off()
    assert file.read_text() == "KEY=new\nSHARE=0.5\n"


def test_a_file_that_is_gone_is_put_back_from_the_version_in_force(tmp_path: Path) -> None:
    file = tmp_path / "voice.env"
    file.write_text("KEY=a\nSHARE=0.5\n")
    deployment, target = deployed(file)
    first_version(deployment, target)
    file.unlink()
    with pytest.raises(BadInput, match=f"cp -p {deployment.folder}/current/env {file}"):
        target.like()
    target.take_off()
    assert file.read_text() == "KEY=a\nSHARE=0.5\n"
