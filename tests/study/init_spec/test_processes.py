"""A process that somebody started by hand is read with its variables, and without their keys."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from study.init_spec.init_spec import InitOptions, write_files
from study.init_spec.roles import services
from study.init_spec.sources import read_sources

SERVER = "import time\nprint(flush=True)\ntime.sleep(1000)\n"


@contextmanager
def begun(folder: Path, name: str, *words: str, **env: str) -> Iterator[str]:
    (folder / name).write_text(f"#!{sys.executable}\n{SERVER}")
    (folder / name).chmod(0o755)
    line = [str(folder / name), *words]
    with subprocess.Popen(line, env=env, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None and process.stdout.readline()
            yield f"pid:{process.pid}"
        finally:
            process.kill()


def test_a_process_has_its_variables_and_their_keys_are_not_written(folder: Path) -> None:
    keys = {"HF_TOKEN": "hidden", "OLLAMA_API_KEY": "hidden"}
    llm = {"OLLAMA_CONTEXT_LENGTH": "8192", "OLLAMA_FLASH_ATTENTION": "1"}
    stt = {"WHISPER__MODEL": "Systran/faster-whisper-small", "CONDA_DEFAULT_ENV": "base"}
    with ExitStack() as stack:
        one = stack.enter_context(begun(folder, "ollama", "serve", **llm, **keys))
        other = stack.enter_context(begun(folder, "speaches", **stt, **keys))
        read = services(read_sources((one, other)), None, "m")
        files = (folder / "my.yaml", folder / "d.yaml")
        write_files(InitOptions((one, other), *files, "my", "cpu", llm_model="m"), print)
    assert (read.stt.size, read.stt.variable) == ("small", "WHISPER__MODEL")
    assert read.llm.options == {"ollama.context_length": 8192}
    text = (folder / "my.yaml").read_text()
    assert "hidden" not in text and "OLLAMA_FLASH_ATTENTION: '1'" in text
