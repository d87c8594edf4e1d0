"""A promotion becomes a patch of a manifest's workloads, and another that takes it back."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest

from objectives.errors import BadInput
from study.deploy.commands import run_verb
from study.deploy.config.deployment import Deployment
from study.deploy.config.load import load_deployment
from study.deploy.config.values import assignments
from study.deploy.targets.kubernetes import patch_lines
from study.init_spec.init_spec import InitOptions, write_files

MANIFEST = """
kind: Deployment
metadata: {{name: llm, namespace: voice}}
spec:
  template:
    spec:
      containers:
      - name: vllm
        image: vllm/vllm-openai
        {words}
---
kind: StatefulSet
metadata: {{name: stt}}
spec:
  template:
    spec:
      containers:
      - name: speaches
        image: ghcr.io/speaches-ai/speaches
        env: [{{name: WHISPER__MODEL, value: small}}]
---
kind: Service
metadata: {{name: llm}}
"""
WORDS = {
    "words": 'args: [--model, org/m, --gpu-memory-utilization, "0.45", --port=8000]',
    "a joined flag": "args: [--model, org/m, --gpu_memory_utilization=0.45, --port=8000]",
    "a shell": "command: [sh, -c]\n        args: ['exec vllm serve org/m --gpu-memory-utilization"
    " 0.45 --port=8000']",
}
NEW = {
    "words": ["--model", "org/m", "--gpu-memory-utilization", "0.5", "--port=8000"],
    "a joined flag": ["--model", "org/m", "--gpu_memory_utilization=0.5", "--port=8000"],
    "a shell": ["exec vllm serve org/m --gpu-memory-utilization 0.5 --port=8000"],
}
PARAMETERS = {"vllm_memory_util": 0.5, "whisper_model_size": "small"}


def deployment_of(folder: Path, words: str) -> Deployment:
    """Read the deployment that `init_spec` writes from a manifest."""
    (folder / "llm.yaml").write_text(MANIFEST.format(words=words))
    files = folder / "my.yaml", folder / "deployment.yaml"
    write_files(InitOptions((str(folder / "llm.yaml"),), *files, "my", device="cpu"), print)
    return load_deployment(files[1])


def patch_of(line: str) -> dict[str, Any]:
    """Return what a line patches, the container alone."""
    words = shlex.split(line)
    patch = json.loads(words[words.index("--patch") + 1])
    [container] = patch["spec"]["template"]["spec"]["containers"]
    return dict(container)


@pytest.mark.parametrize("form", WORDS)
def test_a_patch_changes_a_flag_and_a_variable_in_their_places(tmp_path: Path, form: str) -> None:
    deployment = deployment_of(tmp_path, WORDS[form])
    lines = [*patch_lines(deployment, assignments(PARAMETERS, deployment))]
    assert "  llm: --gpu-memory-utilization 0.45 -> 0.5" in lines
    patches = [line for line in lines if line.startswith("  kubectl patch")]
    assert "deployment/llm --namespace voice" in patches[0] and "statefulset/stt" in patches[1]
    assert patch_of(patches[0]) == {"name": "vllm", "args": NEW[form]}
    small = {"name": "speaches", "env": [{"name": "WHISPER__MODEL", "value": "small"}]}
    assert [patch_of(p) for p in (patches[1], patches[3])] == [small, small]
    assert "0.45" in str(patch_of(patches[2])["args"])
    assert "  kubectl rollout status deployment/llm --namespace voice" in lines


def test_what_is_not_in_the_manifest_or_would_not_be_made_anew_is_refused(tmp_path: Path) -> None:
    deployment = deployment_of(tmp_path, WORDS["words"])
    assigned = assignments(PARAMETERS, deployment)
    manifest = tmp_path / "llm.yaml"
    text = manifest.read_text()
    manifest.write_text(text.replace("name: vllm", "name: other"))
    with pytest.raises(BadInput, match=r"has no llm/vllm; it has llm/other, stt/speaches"):
        [*patch_lines(deployment, assigned)]
    manifest.write_text(text.replace("kind: Deployment", "kind: Job"))
    with pytest.raises(BadInput, match="a Job is not made anew by a patch"):
        [*patch_lines(deployment, assigned)]


@pytest.mark.parametrize("verb", ["apply", "rollback", "status", "commit", "history", "watch"])
def test_every_other_verb_says_that_a_person_applies_it(tmp_path: Path, verb: str) -> None:
    deployment = deployment_of(tmp_path, WORDS["words"])
    with pytest.raises(BadInput, match=f"{verb}: nothing here talks to Kubernetes"):
        run_verb(deployment, verb)
