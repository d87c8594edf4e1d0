"""This module counts a model's parameters by its architecture, where no weight files tell them.

The architectures are those with three feed-forward matrices (SwiGLU and its kin), dense or of
experts; of every other one the weight files are needed.
"""

from __future__ import annotations

from objectives.model_files.json_file import whole
from objectives.model_files.shape import Shape

DENSE = (
    *("LlamaForCausalLM", "MistralForCausalLM", "Qwen2ForCausalLM", "Qwen3ForCausalLM"),
    *("Phi3ForCausalLM", "GemmaForCausalLM", "Gemma2ForCausalLM", "Gemma3ForCausalLM"),
    *("GraniteForCausalLM", "SmolLM3ForCausalLM", "Olmo2ForCausalLM", "InternLM3ForCausalLM"),
)
EXPERTS = ("MixtralForCausalLM", "Qwen2MoeForCausalLM", "Qwen3MoeForCausalLM")
LATENT = ("DeepseekV2ForCausalLM", "DeepseekV3ForCausalLM")


def parameters(shape: Shape) -> int | None:
    """Return how many parameters a model has; None for an architecture that is not known."""
    if shape.architecture not in (*DENSE, *EXPERTS, *LATENT) or not shape.vocab:
        return None
    attention = _latent(shape) if shape.architecture in LATENT else _grouped(shape)
    if attention is None:
        return None
    dense_layers, of_experts = shape.layers, 0
    if shape.architecture not in DENSE:
        sizes = _experts(shape)
        if sizes is None:
            return None
        dense_layers, each = sizes
        of_experts = (shape.layers - dense_layers) * each
    norms = 2 * shape.hidden * (2 if shape.model_type.startswith(("gemma2", "gemma3")) else 1)
    feed_forward = dense_layers * 3 * shape.hidden * shape.intermediate + of_experts
    embeddings = shape.vocab * shape.hidden * (1 if shape.is_tied else 2)
    return shape.layers * (attention + norms) + feed_forward + embeddings + shape.hidden


def matrices(shape: Shape) -> int | None:
    """Return how many parameters the matrices of a dense model's layers have; None of another."""
    if shape.architecture not in DENSE or (attention := _grouped(shape)) is None:
        return None
    each = attention - _biases(shape) + 3 * shape.hidden * shape.intermediate
    return shape.layers * each


def _grouped(shape: Shape) -> int | None:
    """Return the parameters of a layer's attention with keys and values for groups of heads."""
    if shape.attention.has_latent or not shape.attention.numbers:
        return None
    queries, keys_and_values = _widths(shape)
    return shape.hidden * (2 * queries + keys_and_values) + _biases(shape)


def _widths(shape: Shape) -> tuple[int, int]:
    """Return how wide the queries of a layer are, and its keys and values together."""
    keys_and_values = shape.attention.numbers
    return shape.heads * (keys_and_values // (2 * shape.attention.kv_heads)), keys_and_values


def _biases(shape: Shape) -> int:
    return sum(_widths(shape)) if shape.model_type.startswith("qwen2") else 0


def _latent(shape: Shape) -> int | None:
    """Return the parameters of a layer's attention with one latent vector."""
    text = shape.text
    rank, rope = whole(text.get("kv_lora_rank")), whole(text.get("qk_rope_head_dim"))
    nope, value = whole(text.get("qk_nope_head_dim")), whole(text.get("v_head_dim"))
    if rank is None or rope is None or nope is None or value is None:
        return None
    queries = shape.heads * (nope + rope)
    rank_of_queries = whole(text.get("q_lora_rank"))
    of_queries = shape.hidden * queries
    if rank_of_queries is not None:
        of_queries = rank_of_queries * (shape.hidden + queries + 1)
    of_keys = shape.hidden * (rank + rope) + rank + rank * shape.heads * (nope + value)
    return of_queries + of_keys + shape.heads * value * shape.hidden


def _experts(shape: Shape) -> tuple[int, int] | None:
    """Return how many layers have no experts, and the parameters of the feed-forward of one."""
    text, hidden = shape.text, shape.hidden
    names = ("num_local_experts", "num_experts", "n_routed_experts")
    count = next((n for name in names if (n := whole(text.get(name)))), None)
    own = whole(text.get("moe_intermediate_size")) or shape.intermediate
    if count is None or (whole(text.get("decoder_sparse_step")) or 1) != 1:
        return None
    each = count * (3 * own + 1) * hidden
    if shared := whole(text.get("n_shared_experts")):
        each += 3 * hidden * own * shared
    if shared := whole(text.get("shared_expert_intermediate_size")):
        each += hidden * (3 * shared + 1)
    return min(whole(text.get("first_k_dense_replace")) or 0, shape.layers), each
