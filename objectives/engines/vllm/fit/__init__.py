"""This package says what fits in a share of vLLM's, by the model's files alone.

It follows vLLM's own profile run (`v1/worker/gpu_worker.py`, `determine_available_memory`, 0.26 and
0.32): share x total - weights - peak of the activations - what is not torch's [- CUDA graphs] is
what the KV cache gets.
"""
