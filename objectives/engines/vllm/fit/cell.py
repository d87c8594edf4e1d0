"""The files say of a cell what vLLM takes of its share and of the device. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from objectives.allocation import Allocation
from objectives.engines.vllm.fit.kv_layout import KvLayout, kv_layout
from objectives.engines.vllm.fit.options import VllmOptions
from objectives.engines.vllm.fit.reserve import WEIGHTS_SLACK, Reserve, reserve_of
from objectives.fit.cell import Cell, Host, SpeechMemory
from objectives.fit.fits import Fits
from objectives.model_files.model import Model

# between the sum and the least free memory of a window: 225 to 872 in 105 measured launches
UNDER_LOAD_MIB = 600.0
EXCHANGE = "what the devices' exchange takes (NCCL) is not counted"


@dataclass(frozen=True, slots=True)
class _Sum:
    """A sum has a remainder: what is missing, and how far off that may be, MiB."""

    missing_mib: float
    margin_mib: float
    text: str


@dataclass(frozen=True, slots=True)
class _Ends:
    """These are the ends of what the LLM may be given, each with and without its margin, MiB."""

    least_mib: tuple[float, float] | None
    most_mib: tuple[float, float] | None


def _room(share_mib: float, device: _Sum) -> tuple[float, float]:
    """Return the most that a share may take on the device, surely and perhaps, MiB."""
    most_mib = share_mib - device.missing_mib
    return most_mib - device.margin_mib, most_mib


def cell_of(
    allocation: Allocation,
    model: Model,
    options: VllmOptions,
    speech: SpeechMemory,
    host: Host,
    *,
    request_tokens: int,
    version: str | None,
) -> Cell:
    """Return what the files say of an allocation.

    Args:
        allocation: The allocation.
        model: The LLM's.
        options: How it is served.
        speech: What the speech server takes.
        host: The device.
        request_tokens: The longest request of the workload, with its answer.
        version: That of vLLM; None takes it for a new one.
    """
    reserve = reserve_of(model.shape, options, version, is_cpu=host.is_cpu)
    share_mib = allocation.share * host.total_mib
    layout = kv_layout(model.shape, options)
    unsure = _unsure(model, options, layout)
    if model.weights_mib is None or _is_quantized_while_loading(model, options):
        return Cell(allocation=allocation, outcome=Fits.UNKNOWN, why=unsure)
    weights_mib = model.weights_mib / options.tensor_parallel
    cache_mib = share_mib - weights_mib - reserve.inside_mib
    if options.cache_mib is not None:  # it overrides the share
        cache_mib = options.cache_mib
        share_mib = weights_mib + reserve.inside_mib + cache_mib
    device = _on_the_device(share_mib, reserve, speech, host)
    inside = _inside_the_share(share_mib, weights_mib, model, reserve, layout, options)
    free_mib = None if device is None else max(0.0, -device.missing_mib - UNDER_LOAD_MIB)
    need_mib = share_mib + inside.missing_mib
    ends = _Ends(
        None if options.cache_mib is not None else (need_mib, need_mib + inside.margin_mib),
        None if device is None else _room(share_mib, device),
    )
    if isinstance(layout, str):
        if inside.missing_mib > inside.margin_mib:
            return _ruled_out(allocation, Fits.PREDICTED_KV_TOO_SMALL, inside, "", ends)
        return Cell(allocation=allocation, outcome=Fits.UNKNOWN, free_mib=free_mib, why=unsure)
    if inside.missing_mib > 0:
        return _ruled_out(allocation, Fits.PREDICTED_KV_TOO_SMALL, inside, unsure, ends)
    if device is not None and device.missing_mib > 0:
        return _ruled_out(allocation, Fits.PREDICTED_OOM, device, unsure, ends)
    if options.tensor_parallel > 1 and not unsure:
        unsure = EXCHANGE  # it only adds to what is needed
    length = options.max_model_len or model.shape.max_positions or request_tokens
    narrow = (
        inside
        if device is None
        else max((inside, device), key=lambda s: s.missing_mib + s.margin_mib)
    )
    return Cell(
        allocation=allocation,
        outcome=Fits.UNKNOWN if device is None else Fits.STARTS,
        is_close=bool(unsure) or narrow.missing_mib + narrow.margin_mib > 0,
        missing_mib=narrow.missing_mib,
        margin_mib=narrow.margin_mib,
        kv_tokens=layout.tokens(cache_mib, length),
        longest_tokens=layout.longest(cache_mib, length),
        at_once=min(layout.at_once(cache_mib, request_tokens), options.max_num_seqs),
        free_mib=free_mib,
        least_mib=ends.least_mib,
        most_mib=ends.most_mib,
        why=speech.why if device is None else "; ".join(filter(None, (unsure, narrow.text))),
    )


def _ruled_out(
    allocation: Allocation,
    outcome: Fits,
    total: _Sum,
    unsure: str,
    ends: _Ends,
) -> Cell:
    return Cell(
        allocation=allocation,
        outcome=outcome,
        is_close=bool(unsure) or total.missing_mib <= total.margin_mib,
        missing_mib=total.missing_mib,
        margin_mib=total.margin_mib,
        least_mib=ends.least_mib,
        most_mib=ends.most_mib,
        why="; ".join(filter(None, (unsure, total.text))),
    )


def _unsure(model: Model, options: VllmOptions, layout: KvLayout | str) -> str:
    """Return in a sentence what of the LLM is not counted; empty where all is."""
    if model.weights_mib is None:
        return model.why
    if _is_quantized_while_loading(model, options):
        return f"--quantization {options.quantization} makes other weights than the files hold"
    if isinstance(layout, str):
        return layout
    if options.uncounted:
        return f"{', '.join(options.uncounted)} is not counted"
    if model.shape.other_parts and not options.is_text_only:
        return f"what {model.shape.other_parts[0].removesuffix('_config')} takes is not counted"
    return ""


def _is_quantized_while_loading(model: Model, options: VllmOptions) -> bool:
    return bool(options.quantization) and model.shape.quantization is None


def _inside_the_share(
    share_mib: float,
    weights_mib: float,
    model: Model,
    reserve: Reserve,
    layout: KvLayout | str,
    options: VllmOptions,
) -> _Sum:
    """Return whether weights, activations and one request fit into the share."""
    parts = {"weights": weights_mib, **reserve.parts}
    length = options.max_model_len
    if not isinstance(layout, str):
        parts["one request"] = layout.request_mib(length or options.block_size)
    margin_mib = reserve.slack_mib + WEIGHTS_SLACK[model.source] * weights_mib
    need_mib = sum(parts.values())
    text = f"{_added(parts)} = {need_mib:,.0f} of the {share_mib:,.0f} MiB it is given"
    return _Sum(need_mib - share_mib, margin_mib, text)


def _on_the_device(
    share_mib: float, reserve: Reserve, speech: SpeechMemory, host: Host
) -> _Sum | None:
    """Return whether the share fits beside everything else; None where speech is not known."""
    if speech.mib is None:
        return None
    parts = {"share": share_mib, "beyond it": reserve.outside_mib, "speech": speech.mib}
    parts |= host.parts
    need_mib = sum(parts.values())
    text = f"{_added(parts)} = {need_mib:,.0f} of {host.total_mib:,.0f} MiB"
    return _Sum(need_mib - host.total_mib, host.slack_mib + speech.slack_mib, text)


def _added(parts: dict[str, float]) -> str:
    return " + ".join(f"{mib:,.0f} {part}" for part, mib in parts.items())
