"""This command is llama.cpp's HTTP server (package xllamacpp), with the flags of `llama-server`.

No package carries the program itself; this is the same C++ server in a process of Python. It is run
by an interpreter that has xllamacpp, and imports nothing of ours.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence

import xllamacpp  # type: ignore[import-not-found]

# by flag: where its value stands below the parameters, and its kind
FLAGS: dict[str, tuple[str, type]] = {
    "--model": ("model.path", str),
    "--ctx-size": ("n_ctx", int),
    "--parallel": ("n_parallel", int),
    "--n-gpu-layers": ("n_gpu_layers", int),
    "--batch-size": ("n_batch", int),
    "--ubatch-size": ("n_ubatch", int),
    "--cache-ram": ("cache_ram_mib", int),
    "--threads": ("cpuparams.n_threads", int),
    "--threads-batch": ("cpuparams_batch.n_threads", int),
    "--port": ("port", int),
}
SHORT = {"-m": "--model", "-c": "--ctx-size", "-np": "--parallel", "-ngl": "--n-gpu-layers"}
SHORT |= {"-b": "--batch-size", "-ub": "--ubatch-size", "-t": "--threads", "-tb": "--threads-batch"}


def main(words: Sequence[str]) -> int:
    """Serve until SIGTERM, and return the exit status."""
    if "--version" in words:
        print(f"version: xllamacpp {xllamacpp.__version__}")
        return 0
    params = xllamacpp.CommonParams()
    params.warmup = params.fit_params = False
    params.endpoint_metrics = params.endpoint_slots = True
    rest = list(words)
    while rest:
        flag = SHORT.get(rest[0], rest.pop(0))
        if flag == "--kv-unified":
            params.kv_unified = True
            continue
        if flag == "--embeddings":  # of a model that writes, the mean of its last layer
            params.embedding = True
            params.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
            continue
        if flag not in (*FLAGS, "--alias", "--host") or not rest:
            print(f"error: invalid argument: {flag}", file=sys.stderr)
            return 1
        value = rest.pop(0)
        if flag in FLAGS:
            path, kind = FLAGS[flag]
            *outer, name = path.split(".")
            setattr(getattr(params, outer[0]) if outer else params, name, kind(value))
        elif flag == "--host":
            params.hostnames = [value]
        else:
            params.model_alias = {value}
    signals = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        server = xllamacpp.Server(params)
    except RuntimeError as error:  # its log has said why
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"listening on {server.listening_address}", flush=True)
    signal.sigwait(signals)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
