"""A vLLM server takes a reserve beside weights and KV cache, which may be off by a margin.

The forms are those of vLLM's profile run; the constants are what it left over in the starts of two
models on H100 and H200, and of a small one on a CPU (study/guides/fit.md).
"""

from __future__ import annotations

from dataclasses import dataclass

from objectives.engines.command import is_at_least
from objectives.engines.vllm.fit.options import VllmOptions
from objectives.fit.cell import CONTEXT_MIB
from objectives.model_files.json_file import whole
from objectives.model_files.model import served_bytes
from objectives.model_files.shape import Shape
from objectives.plain_data.units import MIB

OTHER_MIB = 265.0  # beside torch, and torch's own buffers: 263 to 268 with warm caches
OTHER_SLACK_MIB = 256.0  # 324 to 436 were seen where kernels were compiled first
GRAPH_MIB = 20.0  # of each captured size of a batch: 18 to 21
INTERPRETER_MIB = 700.0  # of a worker on the CPU, inside its share: 697 to 703
FRONT_ENDS_MIB = 640.0  # of its other processes, outside: 610 to 643
WEIGHTS_SLACK = {"files": 0.005, "config": 0.01}
ACTIVATIONS_SLACK = 0.25  # dense layers are exact in the starts measured
EXPERTS_SLACK = 1.0  # not measured
GRAPHS_INSIDE = (0, 27)  # 0.26 leaves them outside the share, 0.32 measures them into it


@dataclass(frozen=True, slots=True)
class Reserve:
    """A reserve is what a server takes beside weights and KV cache.

    Args:
        inside_mib: What it takes inside its share, MiB.
        outside_mib: What it takes beyond its share, MiB.
        slack_mib: How far off the first may be, MiB.
        parts: What the first consists of, MiB by name.
    """

    inside_mib: float
    outside_mib: float
    slack_mib: float
    parts: dict[str, float]


def reserve_of(shape: Shape, options: VllmOptions, version: str | None, *, is_cpu: bool) -> Reserve:
    """Return the reserve of a server.

    Args:
        shape: The model.
        options: How it is served.
        version: That of vLLM; None takes it for a new one.
        is_cpu: Whether it serves on the CPU.
    """
    activations_mib = _activations_mib(shape, options)
    graphs_mib = GRAPH_MIB * options.graph_sizes
    is_inside = version is None or is_at_least(version, *GRAPHS_INSIDE)
    has_experts = _experts_per_token(shape) is not None or shape.attention.has_latent
    slack_mib = OTHER_SLACK_MIB
    slack_mib += activations_mib * (EXPERTS_SLACK if has_experts else ACTIVATIONS_SLACK)
    if graphs_mib and is_inside:
        slack_mib += graphs_mib / 2
    elif graphs_mib and version is not None and not is_at_least(version, 0, 26):
        slack_mib += graphs_mib
    parts = {"other": INTERPRETER_MIB}  # a worker on the CPU gives its activations back
    if not is_cpu:
        parts = {"activations": activations_mib, "other": OTHER_MIB}
    if is_inside and graphs_mib:
        parts["graphs"] = graphs_mib
    outside_mib = FRONT_ENDS_MIB if is_cpu else CONTEXT_MIB
    if not is_inside:
        outside_mib += graphs_mib
    return Reserve(sum(parts.values()), outside_mib, slack_mib, parts)


def _activations_mib(shape: Shape, options: VllmOptions) -> float:
    """Return the peak of a profile run: that of its layers, or of its sampler.

    A feed-forward layer holds its gate, its input and their product, each of the intermediate size,
    beside three copies of the hidden states; the sampler holds the logits twice, once as float32.
    """
    size, parallel = served_bytes(shape, options.dtype), options.tensor_parallel
    heads = shape.heads * max(1, shape.attention.numbers // (2 * shape.attention.kv_heads))
    wide = max(3 * shape.intermediate, 2 * heads) // parallel
    if (routed := _experts_per_token(shape)) is not None:
        own = whole(shape.text.get("moe_intermediate_size")) or shape.intermediate
        wide = max(wide, routed * (max(2 * own // parallel, shape.hidden) + own // parallel))
    if shape.attention.has_latent:
        wide = max(wide, 4 * shape.heads // parallel * 192)
    layers = options.max_num_batched_tokens * (wide + 3 * shape.hidden) * size
    requests = min(options.max_num_seqs, options.max_num_batched_tokens)
    sampler = requests * shape.vocab * (size + 4)
    sampler += options.max_num_batched_tokens * shape.hidden * size
    return max(layers, sampler) / MIB


def _experts_per_token(shape: Shape) -> int | None:
    names = ("num_experts_per_tok", "num_experts_per_token", "moe_topk", "top_k_experts")
    return next((n for name in names if (n := whole(shape.text.get(name)))), None)
