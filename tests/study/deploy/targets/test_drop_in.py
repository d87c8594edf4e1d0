"""A drop-in sets a value where the command takes it: a flag, a variable, or a container's."""

from __future__ import annotations

from pathlib import Path

import pytest

from objectives.errors import BadInput
from study.deploy.config.deployed import Binding, Deployed
from study.deploy.config.values import Assignment
from study.deploy.targets import unit_checks
from study.deploy.targets.drop_in import Start, drop_in
from study.systemd.units import Unit

SHARE = "vllm_memory_util"


def made(binding: Binding, command: str | None) -> list[str]:
    """Return the lines of a drop-in that set 0.6 by this binding."""
    assigned = [Assignment("llm", SHARE, binding, "0.6")]
    text = drop_in(assigned, command, "0", Start(), restart_always=False)
    return [line for line in text.splitlines() if not line.startswith(("#", "["))]


@pytest.mark.parametrize(
    ("binding", "command", "lines"),
    [
        (
            Binding(flag="--u"),
            "/usr/bin/docker run --gpus all image --u 0.5",
            ["ExecStart=", "ExecStart=/usr/bin/docker run --gpus all image --u 0.6"],
        ),
        (
            Binding(variable="U"),
            "/usr/bin/docker run -e U=0.5 image",
            ["ExecStart=", "ExecStart=/usr/bin/docker run -e U=0.6 image"],
        ),
        (
            Binding(variable="U"),
            "/usr/bin/podman run image",
            ["ExecStart=", "ExecStart=/usr/bin/podman run --env U=0.6 image"],
        ),
        (
            Binding(variable="U", flag="--u"),
            "/opt/vllm serve --u ${U}",
            ['Environment="U=0.6"', "ExecStart=", "ExecStart=/opt/vllm serve --u ${U}"],
        ),
        (Binding(variable="U", flag="--u"), None, ['Environment="U=0.6"']),
        (
            Binding(variable="U"),
            "/usr/bin/docker run -e U image",
            ['Environment="U=0.6"', "ExecStart=", "ExecStart=/usr/bin/docker run -e U image"],
        ),
    ],
)
def test_a_value_goes_where_the_command_takes_it(
    binding: Binding, command: str | None, lines: list[str]
) -> None:
    assert made(binding, command) == lines


class Process:
    """A process has these words."""

    def __init__(self, *words: str) -> None:
        self.words = [*words]

    def cmdline(self) -> list[str]:
        return self.words


@pytest.mark.parametrize("command", ["/opt/run.sh", "/opt/vllm serve $ARGS"])
def test_a_flag_that_a_script_or_a_variable_sets_is_refused_before_anything_stops(
    command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = [Process("/bin/sh", "/opt/run.sh"), Process("/opt/vllm", "serve", "--u", "0.5")]
    monkeypatch.setattr(unit_checks.units, "processes", lambda pid: running)
    unit = Unit(
        "llm.service", "loaded", "active", 7, 0, "", "", (Path("/x"),), (), "no", 1.0, (), ()
    )
    service = Deployed(set={SHARE: Binding(flag="--u", low=0.3, high=0.7)})
    with pytest.raises(BadInput, match=r"has --u 0.5, which its ExecStart does not name: .* map"):
        unit_checks.check_flags(service, unit, command)
    unit_checks.check_flags(service, unit, "/opt/vllm serve --u 0.5")


def test_an_env_file_that_only_root_reads_is_left_to_the_apply(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (file := tmp_path / "keys.env").write_text("U=0.5\n")
    service = Deployed(set={SHARE: Binding(variable="U", low=0.3, high=0.7)})
    with pytest.raises(BadInput, match="it sets U"):
        unit_checks.check_env_file(file, service)

    def refused(path: Path, *words: str, **options: str) -> str:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "read_text", refused)
    unit_checks.check_env_file(file, service)
