"""Before anything is launched it is told of which candidates the clips cannot judge the words."""

import math
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import pytest

from objectives.speech.power import words_needed
from objectives.speech.wer import WordErrors, WordVerdict, gate
from study.bench.word_outlook import word_outlook
from study.cli.before_run.dry_run_text import _words
from study.spec.load import load


@pytest.fixture(scope="module")
def gpu():
    return load(Path(str(files("study"))) / "specs/gpu.yaml")


def outlook(spec, source: str, points: float = 1.0, random: tuple[str, ...] = ()):
    services = {**spec.services, "stt": replace(spec.services["stt"], random_weights=random)}
    grid = list(spec.search_space.grid())
    return word_outlook(services, grid, spec.baseline, source, points)


def test_by_the_spec_that_ships_every_candidate_can_be_judged(gpu):
    assert (gpu.workload.scored_clips, gpu.gates.wer_points) == ("dictation", 1.0)
    assert outlook(gpu, gpu.workload.scored_clips) is None


def test_by_one_minute_of_speech_15_of_its_configurations_cannot_win(gpu):
    few = outlook(gpu, "assistant")
    assert (few.candidates, few.too_few, few.not_measured, few.words) == (19, 15, 0, 159)
    assert (few.minutes < few.minutes_needed < 6, few.longer) == (True, "dictation")
    (line,) = _words(few)
    assert "15 of 19 candidates, those with another speech than today's, are held back" in line
    assert "(`workload: {words: dictation}` has them)" in line


def test_what_has_random_weights_is_told_apart(gpu):
    small = outlook(gpu, "assistant", random=("tiny",))
    assert (small.not_measured, small.too_few) == (5, 10)
    assert "; 5 of 19 candidates cannot win, since" in _words(small)[0]
    own = outlook(gpu, "dictation", random=("small",))  # the baseline's
    assert (own.not_measured, own.too_few) == (15, 0)


def test_no_number_of_words_shows_that_there_is_no_difference_at_all(gpu):
    none = outlook(gpu, "dictation", points=0.0)
    assert (none.minutes_needed, none.longer) == (math.inf, None)
    assert "no number of words can" in _words(none)[0]


def test_what_nothing_that_ships_can_show_names_its_minutes(gpu):
    half = outlook(gpu, "dictation", points=0.3)
    assert half.longer is None
    assert f"; {half.minutes_needed:.1f} min would do" in _words(half)[0]
    assert "has them" not in _words(half)[0]


@pytest.mark.parametrize("points", [0.5, 1.0, 2.0])
def test_as_many_words_as_named_are_what_the_gate_takes_for_equal_words(points):
    def verdict(words: float) -> WordVerdict:
        clips = [WordErrors(0, 10)] * math.ceil(words / 10)
        differing = round(len(clips) / 10)  # one word in a hundred, each way
        new = [WordErrors(1, 10)] * differing + [WordErrors(0, 10)] * differing
        old = [WordErrors(0, 10)] * differing + [WordErrors(1, 10)] * differing
        rest = clips[2 * differing :]
        return gate(new + rest, old + rest, limit_points=points).verdict

    needed = words_needed(points)
    assert verdict(1.25 * needed) is WordVerdict.PASS
    assert verdict(0.75 * needed) is WordVerdict.CANNOT_TELL
