"""What only a shell understands is refused in what starts a server, and what is meant is not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from made.live_factories import FAKES, SERVER

from objectives.errors import BadInput
from study.spec.load import load


def read(folder: Path, measure: Any = None, **embed: Any) -> Any:
    """Read a spec with another service, as it is for a replay or a live study here."""
    (folder / "some.jsonl").touch()
    services = {**FAKES["services"], "embed": {"api": "embeddings", **embed}}
    changes = {"measure": measure or {"recorded": "some.jsonl"}, "services": services}
    path = folder / "words.yaml"
    path.write_text(yaml.safe_dump({**FAKES, **changes}, sort_keys=False))
    return load(path)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("~/llama/llama-server --port {port}", "'~/llama/llama-server'"),
        ("serve -m ~/q.gguf --port {port}", "'~/q.gguf'"),
        ("serve --model=~/q --port {port}", "'--model=~/q'"),
        ("serve -m '~/my models/q' --port {port}", "'~/my models/q'"),
        ("$HOME/serve --port {port}", "'$HOME/serve'"),
        ("serve -m '$MODEL' --port {port}", "'$MODEL'"),
        ('serve -m "${{MODELS}}/q" --port {port}', "'${{MODELS}}/q'"),
        ("serve -m a-$size --port {port}", "'a-$size'"),
        ("docker run -e X=$Y image {port}", "'X=$Y'"),
        ("serve --port {port} --gpus $(nvidia-smi -L)", "'$(nvidia-smi'"),
        ("serve --port {port} && echo x", "'&&' is for a shell"),
        ("cd /srv; serve --port {port}", "'/srv;' is for a shell"),
        ("serve --port {port} > log", "'>' is for a shell"),
        ("serve --port {port} >>log", "'>>log' is for a shell"),
        ("serve --port {port} 2>&1", "'2>&1' is for a shell"),
        ("serve --port {port} | tee log", "'|' is for a shell"),
        ("serve --port {port} &", "'&' is for a shell"),
        ("sh -c 'serve --port {port}' || true", "'||' is for a shell"),
        ("sh -c serve --port {port} -m $M", "'$M'"),
        ("serve -c 'x $M' -m $M --port {port}", "'$M'"),
        ("X=1 serve --port {port}", "it begins with 'X=1', which only a shell"),
        ("serve \\\n --port {port}", "a backslash before a space continues no line here"),
        ("serve \\ --port {port}", "a backslash before a space continues no line here"),
    ],
)
def test_a_command_that_needs_a_shell_is_refused(tmp_path: Path, words: str, told: str) -> None:
    with pytest.raises(BadInput, match=r"words.yaml:\d+: services.embed.command: ") as caught:
        read(tmp_path, command=words)
    assert told in str(caught.value)


@pytest.mark.parametrize(
    "words",
    [
        "sh -c 'cd ~/x && exec serve --port {port} > \"$LOG\" 2>&1'",
        'bash -lc "exec serve --port {port} -m $MODEL"',
        "/bin/sh -e -c 'exec serve --port {port} -m ${{MODEL}}'",
        "docker run --entrypoint=sh image -c 'serve --port {port} -m $MODEL'",
        'ssh there "cd $HOME && serve --port {port}"',
        "env X=1 serve --port {port}",
        "serve --port {port} --url http://host/?a=1&b=2",
        'serve --port {port} --schema \'{{"$ref": "#/a", "or": "a|b;c"}}\'',
        'serve --port {port} --schema "{{\\"$ref\\":1}}"',
        "serve --port {port} --stop </s> --pattern '^a$' -ot .ffn_.*=CPU",
        "serve --port {port} --template '{{% if $x > 1 %}} ; & | {{% endif %}}'",
        "serve --port {port} --key 'pa$word' --sep '|' --stop '>' --and '&&'",
        "serve --port {port} -m my\\ model.gguf --cost \\$5 ''",
        "serve --port {port} -m folder/a~b",
    ],
)
def test_what_a_server_may_be_told_is_taken(tmp_path: Path, words: str) -> None:
    assert read(tmp_path, command=words).services["embed"].command == words


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--chat-template", "~/t.jinja"], "'~/t.jinja'"),
        (["--chat-template=$HOME/t"], "'--chat-template=$HOME/t'"),
        (["--max-model-len 512"], 'is one word to the server; write two: --max-model-len, "512"'),
        (["-O 3"], 'is one word to the server; write two: -O, "3"'),
    ],
)
def test_a_flag_that_no_server_could_read_is_refused(
    tmp_path: Path, words: list[str], told: str
) -> None:
    share = ["--gpu-memory-utilization", "0.1"]
    with pytest.raises(BadInput, match=r"words.yaml:\d+: services.embed.args: ") as caught:
        read(tmp_path, engine="vllm", model="m", args=[*share, *words])
    assert told in str(caught.value)


@pytest.mark.parametrize("program", ["/opt/nope/serve", "nope/serve"])
def test_a_program_that_is_not_there_is_told_before_a_live_study(
    tmp_path: Path, program: str
) -> None:
    assert read(tmp_path, command=f"{program} --port {{port}}"), "a replay starts nothing"
    with pytest.raises(BadInput, match=r"words.yaml:\d+: services.embed.command: there is no prog"):
        read(tmp_path, "live", command=f"{program} --port {{port}}")
    assert read(tmp_path, "live", command=SERVER)


def test_a_placeholder_that_is_not_searched_is_told_where_to_add_it(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"\{embed.batch\}; add `embed.batch: \[...\]` to search_sp"):
        read(tmp_path, command=f"{SERVER} {{embed.batch}}")
