"""The table of figures is the one place for titles and units; the guide agrees with it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import study
from objectives.figures import figure, figures_of, judged, shown
from objectives.measurement import is_figure
from study.spec.choices import APIS, FIGURES

GUIDE = Path(study.__file__).parent / "guides/metrics.md"


def rows() -> list[tuple[list[str], str]]:
    """Return the names and the units of each row of the guide's table."""
    lines = re.findall(r"^\| (`.+?`) \| (.+?) \| .+ \|$", GUIDE.read_text(), re.M)
    return [(re.findall(r"`(\w+)`", names), unit) for names, unit in lines]


def test_every_figure_is_one_of_a_measurement() -> None:
    assert all(map(is_figure, FIGURES))
    assert all(name == f.flat for name, f in FIGURES.items())


def test_a_flat_name_gives_the_figure_of_its_service() -> None:
    assert all(figure(name) == f for name, f in FIGURES.items())
    with pytest.raises(KeyError):
        figure("weather")


def test_further_services_have_the_figures_of_their_api() -> None:
    """A second LLM has its own titles; a service of another API has only what every one has."""
    more = figures_of({**APIS, "critic": "completions", "embed": "embeddings"})
    critic = [name for name in more if name.startswith("critic_")]
    assert critic == [name.replace("llm", "critic") for name in FIGURES if name.startswith("llm_")]
    assert more["critic_latency_p95_ms"].title == "critic: 95 % answered within"
    embed = [name for name in more if name.startswith("embed_")]
    assert embed == ["embed_latency_ms", "embed_latency_p95_ms"]


def test_the_guide_defines_every_figure_in_its_unit() -> None:
    defined = {name: unit for names, unit in rows() for name in names}
    assert FIGURES.keys() <= defined.keys()
    assert all(map(is_figure, defined))
    for name, f in FIGURES.items():
        assert f.unit in defined[name], name


def test_a_name_ends_with_its_unit() -> None:
    units = {"ms": "ms", "pct": "%", "mib": "MiB", "rtfx": "x", "s": "turns/s"}
    for name, f in FIGURES.items():
        assert f.unit == units.get(name.rpartition("_")[2], ""), name


def test_what_is_shown_has_a_title_of_its_own() -> None:
    titles = [f.title for f in shown(FIGURES).values()]
    assert len(set(titles)) == len(titles)


def test_what_is_judged_has_a_direction() -> None:
    assert "neutral" not in {f.direction for f in judged(FIGURES).values()}
