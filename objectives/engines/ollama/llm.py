"""The engine Ollama: this module knows how its server is started, and what it tells.

Written from its documentation (docs/faq, docs/api, envconfig/config.go, 0.5 to 0.12); nobody has
run it here: no package carries it. Its options are variables of its environment:
`ollama.context_length` is OLLAMA_CONTEXT_LENGTH. It loads a model as the first request comes, keeps
it (`keep_alive` is forever, where nothing else is said), and puts layers on the CPU where the
device is full.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from objectives.allocation import Allocation, Scalar
from objectives.apis.api import Endpoint
from objectives.apis.metrics_page import whole
from objectives.apis.pages import engine_page, page_data
from objectives.apis.short_requests import page
from objectives.engines.command import Command, command_of
from objectives.engines.llm_server import LlmServer
from objectives.engines.unit_form import Image, Known, UnitForm, Words
from objectives.on_demand.resident import KEEP_ALIVE, sleeps

LOADED = "/api/ps"  # its page of the models that are loaded
SET_BY_STUDY = {
    "host": "leave it to the study",
    "max_loaded_models": "leave it to the study, which loads one",
    "noprune": "leave it to the study",
}
ADDRESS = "OLLAMA_HOST"
USUAL: Mapping[str, Scalar] = {"keep_alive": -1, "max_loaded_models": 1, "num_parallel": 1}


LOOK_S = 2.0


def loaded_model(port: int) -> str | None:
    """Return the model that an Ollama on this machine has loaded, else its only one; None: none."""
    for path in (LOADED, "/api/tags"):
        names = _names(page(f"http://127.0.0.1:{port}{path}", within_s=LOOK_S) or "")
        if names and (path == LOADED or len(names) == 1):
            return names[0]
    return None


def _names(text: str) -> list[str]:
    data = page_data(text)
    models = data.get("models") if isinstance(data, dict) else None
    rows = models if isinstance(models, list) else []
    named = [row.get("name") for row in rows if isinstance(row, dict)]
    return [name for name in named if isinstance(name, str)]


CONTEXT = "vllm.context_length"  # of a template
FORM = UnitForm(
    known=(Known("Ollama", "llm", "ollama", verb="serve", key="ollama"),),
    images=(Image(r"ollama", ("ollama",), usual=("serve",)),),
    commands=("ollama",),
    words={
        "Ollama": Words(
            model=(),
            ports=(),
            host=None,
            variables={CONTEXT: "OLLAMA_CONTEXT_LENGTH"},
            own={CONTEXT: "ollama.context_length"},
            port=11434,
            health_path="/api/version",
            address=ADDRESS,
            prefix="OLLAMA_",
            loaded=loaded_model,
        )
    },
)


@dataclass(frozen=True, slots=True)
class Ollama(LlmServer):
    """This engine is Ollama: answers end where its model ends them, however long is asked for.

    Args:
        service: Which model it serves, and how it is started.
        name: The service that it serves.
    """

    unread: ClassVar[Mapping[str, str]] = {
        "metrics_path": "Ollama has no such page",
        "served_model": "its requests name its `model`",
        "vocabulary": "its prompts are words",
    }
    least: ClassVar[Mapping[str, int]] = {"context_length": 1, "num_parallel": 0}
    words_key: ClassVar[str] = "env"
    context_option: ClassVar[str] = "context_length"
    own_prefix: ClassVar[str] = "ollama."
    unit_form: ClassVar[UnitForm | None] = FORM
    # a model's Modelfile says the rest
    changes_answers: ClassVar[frozenset[str]] = frozenset({"kv_cache_type", "new_engine"})
    model_kind: ClassVar[Literal["folder", "file", "name"]] = "name"
    program: ClassVar[str] = "ollama"
    at_once_flag: ClassVar[str] = "OLLAMA_NUM_PARALLEL"
    set_by_us: ClassVar[Mapping[str, str]] = SET_BY_STUDY
    health: ClassVar[str] = "/api/version"
    own_wakers: ClassVar[Mapping[str, str]] = {KEEP_ALIVE: "OLLAMA_KEEP_ALIVE"}

    @property
    def model_name(self) -> str:
        """Return the model's name in requests: its own."""
        return self.service.model or self.service.served_model

    def missing(self, named: Collection[str]) -> tuple[str, str] | None:
        """Return that nothing says its context, or that its own address would be another."""
        if ADDRESS in self.service.env:
            return f"{ADDRESS} in `env` is set by the study itself", "remove it"
        if "context_length" in named or "OLLAMA_CONTEXT_LENGTH" in self.service.env:
            return None
        what = "nothing says the context, which would follow from the device"
        return what, f"search {self.prefix}context_length, or add OLLAMA_CONTEXT_LENGTH to `env`"

    def fixed_value(self, option: str) -> str | None:
        """Return what `env` says of an option; None where it says nothing."""
        return self.service.env.get(f"OLLAMA_{option.upper()}")

    def resident_command(self, allocation: Allocation, device_env: Mapping[str, str]) -> Command:
        """Return the server's command; `ollama.<option>` parameters become OLLAMA_<OPTION>."""
        service = self.service
        options = {**USUAL, **self.options(allocation)}
        own = {f"OLLAMA_{name.upper()}": _spelled(value) for name, value in options.items()}
        named = {**own, **{k: v for k, v in service.env.items() if k not in own}}
        words = [f"{k}={v}" for k, v in named.items() if k.startswith("OLLAMA_")]
        argv = ("env", f"{ADDRESS}=127.0.0.1:{{port}}", *words)
        argv += (self.executable, "serve", *service.args)
        return command_of(service, argv, device_env, allocation, service.model)

    def own_settings(self, allocation: Allocation) -> str:
        """Return the variables to set; of a template only its values."""
        if self.service.command is not None:
            return self.values_of(allocation)
        options, service = self.options(allocation), self.service
        if sleeps(self.name, service, allocation) and service.woken_by == KEEP_ALIVE:
            options["keep_alive"] = f"{service.idle_s:g}s"
        words = (f"OLLAMA_{k.upper()}={_spelled(v)}" for k, v in options.items())
        return " ".join(words) or "as it is"

    def vocabulary(self) -> int | None:
        """Return None: its prompts are words, of which each is about a token."""
        return None

    def figures(self, url: str, log: str) -> dict[str, Any]:  # noqa: ARG002
        """Return the context of the loaded model; how many slots have it, its log does not tell."""
        models = page_data(engine_page(url, LOADED))
        rows = models.get("models") if isinstance(models, dict) else None
        first = rows[0] if isinstance(rows, list) and rows and isinstance(rows[0], dict) else {}
        longest = whole(str(first.get("context_length")))
        return {"kv_tokens": None, "kv_cache_mib": None, "max_model_len": longest}

    def at_once(self, allocation: Allocation) -> int | None:
        """Return how many requests it takes at once."""
        return whole(str(self.options(allocation).get("num_parallel", USUAL["num_parallel"])))

    def longest_taken(self, values: Mapping[str, Sequence[Scalar]]) -> int | None:
        """Return the smallest context: each request may have all of it."""
        in_env = self.service.env.get("OLLAMA_CONTEXT_LENGTH", "")
        lengths = [whole(str(v)) for v in values.get("context_length", (in_env,))]
        return min((n for n in lengths if n is not None), default=None)

    def endpoint(self, url: str) -> Endpoint:
        """Return where it listens, and how it is spoken to; it tells no use of its cache."""
        return Endpoint(url, self.spoken())


def _spelled(value: Scalar) -> str:
    return str(int(value)) if isinstance(value, bool) else str(value)
