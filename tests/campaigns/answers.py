"""Mutated answers of servers are one of our types, or the failure that their reader names."""

from __future__ import annotations

import json
import random
from contextlib import suppress

from objectives.apis.completions import MOST_TOKENS, Stream, completed
from objectives.apis.transcription import Transcriptions, transcript
from objectives.engines.vllm.kv_cache import kv_cache, usage
from objectives.load.sending.client import REQUEST_FAILURES

from .campaign import mutated

STREAM = (
    b'data: {"id": "1", "choices": [{"index": 0, "text": " a", "finish_reason": null}]}\n\n'
    b'data: {"choices": [], "usage": {"prompt_tokens": 4, "completion_tokens": 3}}\n\n'
    b'data: {"error": {"message": "EngineCore encountered an issue", "code": 500}}\n\n'
    b"data: [DONE]\n\n"
)
WORDS = b'{"text": "Set a timer for twelve minutes.", "usage": {"seconds": 3}}'
COMPLETION = b'{"choices": [{"text": "yes"}], "usage": {"completion_tokens": 1}}'
PAGE = (
    b'vllm:cache_config_info{block_size="16",kv_cache_size_tokens="1600",num_gpu_blocks="100"} 1\n'
    b'vllm:kv_cache_usage_perc{engine="0",model_name="m"} 0.5\n'
    b'vllm:num_preemptions_total{engine="0",model_name="m"} 3.0\n'
)
LOG = "KV cache size: 1,600 tokens\nMaximum concurrency for 1,024 tokens per request: 1.56x\n"


def attack(rng: random.Random) -> None:
    """Read one mutated answer of each kind.

    Raises:
        AssertionError: What was read is none of our types.
    """
    with suppress(*REQUEST_FAILURES):
        stream, data = Stream(), mutated(STREAM[: rng.choice((86, 170, len(STREAM)))], rng)
        while data:
            size = rng.randint(1, len(data))
            stream.feed(data[:size])
            data = data[size:]
        tokens = stream.answer().tokens
        assert tokens is None or 0 <= tokens <= MOST_TOKENS, tokens
    with suppress(ValueError):
        words = Transcriptions().reading()
        words.feed(mutated(WORDS, rng))
        json.dumps(words.answer().text, ensure_ascii=False).encode()
    for read, body in ((transcript, WORDS), (completed, COMPLETION)):
        with suppress(ValueError):
            assert isinstance(read(mutated(body, rng)), str)
    page = mutated(PAGE, rng).decode(errors="replace")
    usage_pct, preemptions = usage(page)
    assert usage_pct is None or 0 <= usage_pct <= 100, usage_pct
    assert preemptions is None or preemptions >= 0, preemptions
    cache = kv_cache(page, mutated(LOG.encode(), rng).decode(errors="replace"))
    for figure in (cache.tokens, cache.mib, cache.max_model_len):
        assert figure is None or 0 <= figure < 1e19, figure
