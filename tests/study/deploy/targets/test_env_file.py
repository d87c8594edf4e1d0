"""An env file keeps its secrets, and its own lines."""

from __future__ import annotations

from pathlib import Path

from study.deploy.change import first_version
from study.deploy.config.deployed import Binding, Deployed
from study.deploy.config.deployment import Deployment, EnvFile
from study.deploy.state.versions import Chain
from study.deploy.targets.env_file import EnvTarget

SIZE = Binding(variable="WHISPER_MODEL", choices={"tiny": "tiny", "base": "/models/base"})


def test_an_env_file_with_keys_stays_as_secret_as_it_was(tmp_path: Path) -> None:
    file = tmp_path / "voice.env"
    file.write_text("SHARE=0.5\nWHISPER_MODEL=base\nKEY=secret\n")
    file.chmod(0o600)
    services = {
        "llm": Deployed(set={"vllm_memory_util": Binding(variable="SHARE", low=0.1, high=0.9)}),
        "stt": Deployed(set={"whisper_model_size": SIZE}),
    }
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
