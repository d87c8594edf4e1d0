"""A flag is set in a unit's own ExecStart, however that is quoted, or the unit is refused."""

from __future__ import annotations

import shlex

import pytest

from objectives.errors import BadInput
from study.systemd.unit_file import exec_start, values_of, with_flag

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
    command = with_flag(f"/vllm serve {word} --name 'a b'", "--max-num-seqs", "8")
    assert values_of(shlex.split(command), "--max-num-seqs") == ["8"]
    assert command.endswith(" --name 'a b'")


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
