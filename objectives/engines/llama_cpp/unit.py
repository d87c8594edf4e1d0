"""This module recognises and reads servers of llama.cpp and its Python that no study started."""

from __future__ import annotations

from objectives.engines.llama_cpp.fit import PROGRAM
from objectives.engines.unit_form import Image, Known, Speaks, UnitForm, Words

CONTEXT = "vllm.ctx_size"  # of a template
FORM = UnitForm(
    known=(
        Known("llama.cpp", "llm", r"llama-server|llama_server|llama-cpp-server", key="llama_cpp"),
        Known("llama-cpp-python", "llm", module=r"llama_cpp\.server"),
    ),
    images=(Image(r"llama\.cpp|llama-cpp", (PROGRAM,)),),
    commands=(PROGRAM,),
    words={
        "llama.cpp": Words(
            model=("-m", "--model", "-hf", "--hf-repo", "-mu", "--model-url"),
            memory={CONTEXT: ("-c", "--ctx-size")},
            own={CONTEXT: "llama.ctx_size"},
            set_by_study=("-m", "--model", "-a", "--alias", "--slots", "--no-slots"),
            files=("-m", "--model"),  # no hub id
            port=8080,
        ),
        "llama-cpp-python": Words(
            model=("--model",),
            memory={"vllm.n_ctx": ("--n-ctx",)},
            usual={"vllm.n_ctx": 2048},
            health_path="/v1/models",
        ),
    },
    speaks=Speaks(port=8080),
)
