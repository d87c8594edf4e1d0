"""The table of figures is the one place for titles and units; the guide agrees with it."""

from __future__ import annotations

import re
from pathlib import Path

import study
from objectives.figures import FIGURES, JUDGED, SHOWN
from objectives.measurement import is_figure

GUIDE = Path(study.__file__).parent / "guides/metrics.md"


def rows() -> list[tuple[list[str], str]]:
    """Return the names and the units of each row of the guide's table."""
    lines = re.findall(r"^\| (`.+?`) \| (.+?) \| .+ \|$", GUIDE.read_text(), re.M)
    return [(re.findall(r"`(\w+)`", names), unit) for names, unit in lines]


def test_every_figure_is_one_of_a_measurement() -> None:
    assert all(map(is_figure, FIGURES))
    assert all(name == figure.flat for name, figure in (FIGURES | JUDGED).items())


def test_the_guide_defines_every_figure_in_its_unit() -> None:
    defined = {name: unit for names, unit in rows() for name in names}
    assert FIGURES.keys() <= defined.keys()
    assert all(map(is_figure, defined))
    for name, figure in FIGURES.items():
        assert figure.unit in defined[name], name


def test_a_name_ends_with_its_unit() -> None:
    units = {"ms": "ms", "pct": "%", "mib": "MiB", "rtfx": "x"}
    for name, figure in FIGURES.items():
        assert figure.unit == units.get(name.rpartition("_")[2], ""), name


def test_what_is_shown_has_a_title_of_its_own() -> None:
    assert len({figure.title for figure in SHOWN.values()}) == len(SHOWN)


def test_what_is_judged_has_a_direction() -> None:
    assert "neutral" not in {figure.direction for figure in JUDGED.values()}
