# The main job in a container. Built with podman on Debian 12, where it runs; not yet with Docker, nor on a CUDA base: tell us what breaks.
#   docker build -t gpu-allocation .                 replays what ships, and measures CPU servers
#   docker build -t gpu-allocation-cuda . \
#     --build-arg BASE=nvidia/cuda:12.9.1-cudnn-runtime-ubuntu24.04 --build-arg SERVERS=vllm
#   docker run --rm gpu-allocation
#   docker run --rm --gpus all --ipc host -v "$PWD:/work" -v ~/.cache/huggingface:/root/.cache/huggingface \
#     gpu-allocation-cuda run my_gpu.yaml           with `services.llm.python: /opt/vllm/bin/python` in it
ARG BASE=python:3.12-slim
FROM ${BASE}

# a CUDA image has no Python; vLLM compiles kernels at its start; versions are those of the base
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install -y --no-install-recommends python3 python3-venv python3-dev gcc libc6-dev \
 && rm -rf /var/lib/apt/lists/*

# what is given here, such as `vllm`, gets an environment of its own
ARG SERVERS=""
RUN if [ -n "$SERVERS" ]; then \
      python3 -m venv /opt/vllm && /opt/vllm/bin/python -m pip install --no-cache-dir $SERVERS; \
    fi

COPY pyproject.toml README.md LICENSE /src/
COPY objectives /src/objectives
COPY study /src/study
RUN python3 -m venv /opt/study && /opt/study/bin/python -m pip install --no-cache-dir /src

ENV PATH=/opt/study/bin:$PATH
WORKDIR /work
ENTRYPOINT ["gpu-allocation"]
CMD ["run"]
