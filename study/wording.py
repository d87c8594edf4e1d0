"""Give plain words and short labels to what a study writes down."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from objectives.allocation import MEMORY, OF_MEMORY, SPEECH, Allocation
from objectives.diagnosis.busy import Busy
from objectives.engines.places import PLACE
from objectives.evaluation import Phase, Step
from objectives.figures import service_name
from objectives.on_demand.resident import RESIDENT
from objectives.servers.phase_times import start_name, started_service
from objectives.servers.retries import PATIENCE_S
from objectives.speech.wer import WordVerdict
from study.text import cut


def memory_in_words(allocation: Allocation) -> str:
    """Return the LLM's memory as it is searched: a share in percent, or MiB; empty without one.

    >>> memory_in_words(Allocation({"vllm_memory_util": 0.375}))
    '37.5 %'
    >>> memory_in_words(Allocation({"vllm_memory_util": 0.281976, "vllm_memory_mib": 40540}))
    '40,540 MiB'
    """
    mib = allocation.memory_mib
    if not allocation.has_share:
        return ""
    return f"{100 * allocation.share:g} %" if mib is None else f"{float(mib):,.0f} MiB"


def allocation_in_words(allocation: Allocation) -> str:
    """Return an allocation in a sentence.

    >>> allocation_in_words(Allocation({"vllm_memory_util": 0.375, "whisper_model_size": "base"}))
    '37.5 % of the memory for the LLM, beside speech model base'
    """
    options = allocation.all_options
    more = ", ".join(f"{option_in_words(k, options)} {v}" for k, v in options.items())
    extra = f", with {more}" if more else ""
    if not allocation.has_share:
        return f"speech model {allocation.speech}{extra}"
    share = f"{memory_in_words(allocation)} of the memory for the LLM"
    return f"{share}, beside speech model {allocation.speech}{extra}"


def choice_in_words(allocation: Allocation, today: Allocation | None) -> str:
    """Return an allocation in a sentence, with what is in use today where that differs.

    >>> both = {"vllm_memory_util": 0.5, "whisper_model_size": "base"}
    >>> today = Allocation(both | {"vllm.max_num_seqs": 64, "whisper.beam_size": 5})
    >>> choice_in_words(Allocation({**today.values, "vllm_memory_util": 0.55}), today)
    '55 % of the memory for the LLM, beside speech model base (today: 50 % + base)'
    >>> print(choice_in_words(Allocation({**today.values, "vllm.max_num_seqs": 32}), today))
    50 % of the memory for the LLM, beside speech model base, with max_num_seqs 32 instead of 64
    """
    if today is None:
        return allocation_in_words(allocation)
    names = (*OF_MEMORY, SPEECH)
    both = Allocation({k: v for k, v in allocation.values.items() if k in names})
    old, new = today.all_options, allocation.all_options
    changes = [
        f"{option_in_words(k, new)} {v} instead of {old.get(k)}"
        for k, v in new.items()
        if old.get(k) != v
    ]
    with_changes = f", with {', '.join(changes)}" if changes else ""
    pairs = f" (today: {pair(today)})" if pair(today) != pair(allocation) else ""
    return f"{allocation_in_words(both)}{with_changes}{pairs}"


def option_in_words(parameter: str, among: Iterable[str]) -> str:
    """Return the name of a server's option: without the server where only one has it.

    >>> option_in_words("vllm.max_num_seqs", ["vllm.max_num_seqs", "stt.place"])
    'max_num_seqs'
    >>> option_in_words("stt.place", ["stt.place"])
    'speech place'
    >>> option_in_words("llm.resident", ["llm.resident"])
    'LLM resident'
    >>> option_in_words("embed.batch", ["embed.batch", "ranks.batch"])
    'embed batch'
    """
    server, _, option = parameter.partition(".")
    is_alone = sum(name.partition(".")[2] == option for name in among) == 1
    is_told = is_alone and option not in (PLACE, RESIDENT)  # without its server
    return option if is_told else f"{service_name(server)} {option}"


def pair(allocation: Allocation) -> str:
    """Return the LLM's memory, where it has a share of it, and the speech model, as a label.

    >>> both = {"vllm_memory_util": 0.5, "whisper_model_size": "base"}
    >>> pair(Allocation(both | {"vllm.max_num_seqs": 64}))
    '50 % + base'
    >>> pair(Allocation({"whisper_model_size": "base", "llama.ctx_size": 8192}))
    'base'
    """
    return " + ".join(filter(None, (memory_in_words(allocation), allocation.speech)))


def short(allocation: Allocation, today: Allocation | None = None) -> str:
    """Return a configuration as a label.

    It has the LLM's share of the memory, the speech model, and what else is searched.

    Args:
        today: What is in use, to name of the rest only what differs from it

    >>> both = {"vllm_memory_util": 0.5, "whisper_model_size": "base"}
    >>> one = Allocation(both | {"vllm.max_num_seqs": 64})
    >>> short(one), short(one, one)
    ('50 % + base, max_num_seqs=64', '50 % + base')
    """
    rest = "".join(
        f", {option_in_words(k, allocation.values)}={f'{v:g}' if isinstance(v, float) else v}"
        for k, v in allocation.values.items()
        if k not in (*OF_MEMORY, SPEECH) and (today is None or today.values.get(k) != v)
    )
    return pair(allocation) + rest


OUT_OF_MEMORY = "out of memory"
NO_GOOD_RATE = "no good rate"  # in place of a capacity: at none were 95 % of the turns good
FAILURES: Mapping[str, tuple[str, str]] = {  # class: in two words, in a sentence
    "predicted_oom": (
        OUT_OF_MEMORY,
        "the arithmetic rules it out: both servers together need more than the device has",
    ),
    "predicted_kv_too_small": (
        "too little cache",
        "the arithmetic rules it out: no room for one longest request",
    ),
    "oom_budget": (OUT_OF_MEMORY, "the device has not the share that the LLM server asks for"),
    "kv_too_small": (
        "too little cache",
        "what is left for the KV cache cannot hold one longest request",
    ),
    "oom_startup": (OUT_OF_MEMORY, "a server ran out of memory before it was ready"),
    "oom_runtime_llm": (OUT_OF_MEMORY, "the LLM server ran out of memory under load"),
    "oom_runtime_stt": (OUT_OF_MEMORY, "the speech server ran out of memory under load"),
    "oom_runtime": (OUT_OF_MEMORY, "a service beside them ran out of memory under load"),
    "cpu_fallback": (
        "not on the device",
        "a service beside them did not run on the device that was asked for",
    ),
    "stt_cpu_fallback": (
        "not on the device",
        "the speech server did not run on the device that was asked for",
    ),
    "llm_cpu_offload": (
        "not on the device",
        "part of the LLM did not run on the device that was asked for",
    ),
    "startup_timeout": ("not ready in time", "a server was not ready in time, twice"),
    "host_oom": ("host out of memory", "the host's out-of-memory killer ended a server, twice"),
    "engine_death": ("ended by itself", "a server ended for no reason of memory, twice"),
    "killed_unknown": ("killed", "a server was killed from outside, twice"),
    "stt_wrong": ("answered wrongly", "the speech server answered with errors, twice"),
    "gpu_fault": ("device fault", "the device reported a fault, twice"),
    "overdue": ("not over in time", "it took longer than all its parts may, twice"),
    "late_requests": ("left late", "our own requests left late, again and again"),
    "contaminated": (
        "disturbed",
        "another process took or freed memory while the server looked at it",
    ),
    "foreign_tenant": ("disturbed", "another process held memory that was free before the study"),
    "gpu_hardware": ("hardware", "the device reported a hardware error"),
    "setup_error": ("set-up", "a library, a flag, a port or a driver"),
}
STEPS: Mapping[Step, str] = {
    Step.TENANTS: "taking the memory of the tenants",
    Step.WARMING_UP: "warming up",
    Step.ALONE: "each service alone",
    Step.WORDS: "counting words",
    Step.LOADING: "loading both",
    Step.LOADING_AGAIN: "loading both again: our requests left late",
    Step.RAMP: "ramp of turns",
    Step.HOLD: "turns at a constant rate",
    Step.RAMP_AGAIN: "ramp of turns again, around what the first one found",
    Step.SETTLING: "waiting until the servers are idle again",
    Step.RAMP_LATE: "ramp of turns again: our requests left late",
    Step.HOLD_LATE: "turns at a constant rate again: our requests left late",
}
WORD_GATES: Mapping[WordVerdict | None, str] = {
    WordVerdict.PASS: "as good as the baseline's, within the gate",
    WordVerdict.FAIL: "worse than the baseline's by more than the gate",
    WordVerdict.CANNOT_TELL: "the clips are too few to tell",
    WordVerdict.NOT_MEASURED: "not measured",
    None: "not measured",
}
CONSTRAINTS: Mapping[str, str] = {
    "memory": "it runs out of memory",
    "latency_is_finite": "more than 5 % of the requests failed",
    "free_memory": "less memory stays free than the gate asks",
    "word_error_rate": "its words are worse than the gate allows",
}


def failure_in_words(failure_class: str) -> str:
    """Return a failure class in two words; the class itself where this version does not know it.

    >>> failure_in_words("oom_startup"), failure_in_words("new_class")
    ('out of memory', 'new_class')
    """
    return FAILURES.get(failure_class, (failure_class, ""))[0]


def server_in_words(name: str | None) -> str:
    """Return what people call the server that a diagnosis blames, or what else it blames.

    >>> server_in_words("stt"), server_in_words("host"), server_in_words("tenant:game")
    ('speech server', 'host', 'tenant:game')
    """
    if not name or name == "host" or name.startswith("tenant:"):
        return name or "-"
    return f"{service_name(name)} server"


SHORT = {"vllm_memory_util": "LLM share", MEMORY: "LLM memory", "whisper_model_size": "speech"}


def phase_in_words(phase: Phase) -> str:
    """Say what a launch is doing, in a few words.

    >>> phase_in_words(Phase(Step.STARTING, "llm")), phase_in_words(Phase(Step.RAMP))
    ('starting LLM', 'ramp of turns')
    """
    match phase.step:
        case Step.STARTING:
            return start_name(service_name(str(phase.service)))
        case Step.RETRYING if phase.diagnosis is not None:
            d = phase.diagnosis
            why = f"once more, since {failure_in_words(d.failure_class)}"
            return f"{why}: {cut(d.evidence, 160)}" if d.evidence else why
        case Step.WAITING if phase.busy is not None:
            return f"waiting, {PATIENCE_S:g} s at most, since {busy_in_words(phase.busy)}"
        case Step.BESIDE_OTHERS if phase.busy is not None:
            return f"{busy_in_words(phase.busy)}: what is measured beside them holds only there"
    return STEPS.get(phase.step, phase.step)


def busy_in_words(busy: Busy) -> str:
    """Say what others keep busy, and who.

    >>> busy_in_words(Busy(64.0, None, ("make (process 7)", "rsync (process 9)")))
    'others keep the CPU 64 % busy, most of it make (process 7) and rsync (process 9)'
    >>> busy_in_words(Busy(3.0, 70.0, on_gpu=("game (process 7)",)))
    'others keep the GPU 70 % busy, on it game (process 7)'
    """
    parts = []
    if busy.keeps_cpu:
        who = f", most of it {' and '.join(busy.on_cpu)}" if busy.on_cpu else ""
        parts.append(f"the CPU {busy.cpu_pct:.0f} % busy{who}")
    if busy.keeps_gpu:
        who = f", on it {' and '.join(busy.on_gpu)}" if busy.on_gpu else ""
        parts.append(f"the GPU {busy.gpu_pct:.0f} % busy{who}")
    return f"others keep {'; and '.join(parts)}"


def timed_phase_in_words(name: str) -> str:
    """Return what people call a phase whose seconds were kept.

    >>> timed_phase_in_words("starting stt"), timed_phase_in_words("window")
    ('starting speech', 'window')
    """
    service = started_service(name)
    return name if service is None else start_name(service_name(service))


def label(parameter: str) -> str:
    """Return a parameter's name for a table, without the server's.

    >>> label("vllm_memory_util"), label("vllm.max_num_seqs"), label("card")
    ('LLM share', 'max_num_seqs', 'card')
    """
    return SHORT.get(parameter) or (
        option_in_words(parameter, [parameter]) if "." in parameter else parameter
    )


def number(value: float | None, digits: int = 0) -> str:
    """Return a figure for a table; what was not measured is a dash.

    >>> number(None), number(float("inf")), number(1234.56)
    ('-', 'inf', '1,235')
    """
    return "-" if value is None else f"{value:,.{digits}f}"
