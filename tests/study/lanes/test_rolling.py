"""One study on several lanes: the order of what is begun, the budget, what is lost and resumed."""

import json
from collections import Counter
from statistics import fmean

import optuna
import pytest
from fake_cards.fake_lane import PROGRAM, NumberedCard
from made.factories import context_of_spec, make, open_made
from optuna.trial import TrialState

from objectives.devices.device_set import device_set
from objectives.errors import SetupError
from study.analysis.decision import decision_of
from study.analysis.reweigh import of_all_cards
from study.lanes import across_cards, rolling
from study.lanes.across_cards import finals_in
from study.lanes.lanes import Lanes
from study.lanes.losses import Patience
from study.lanes.process.lane_process import Here
from study.lanes.rolling import RollingEpoch
from study.search.ask import queue_again
from study.search.known_results import RunLimit
from study.search.trial_ends import Progress
from study.spec.load import load
from study.spec.setting import setting_of
from study.storage.trial import BRIDGE, REPLICATE, State
from study.storage.trials import counted, rows

pytestmark = pytest.mark.usefixtures("forked")
QUICK = Patience(silent_s=60.0, overtime_s=20.0, memory_s=1.0, end_s=10.0)
BASELINE = "vllm_memory_util=0.5 whisper_model_size=base"


@pytest.fixture
def spec(tmp_path):
    return load(make(tmp_path))


@pytest.fixture
def study(spec):
    return open_made(spec, optuna.storages.InMemoryStorage(), name="s")


def run(spec, study, folder, moods=None, cards=("GPU-a", "GPU-b"), patience=QUICK, **more):
    """Run an epoch on lanes that all begin ready; return its ending and what was said."""
    (folder / "moods.json").write_text(json.dumps(moods or {}))
    lines, devices = [], [device_set(*map(NumberedCard, card.split())) for card in cards]
    with Lanes(
        devices,
        setting_of(spec),
        folder,
        say=lines.append,
        patience=patience,
        transport=Here(PROGRAM),
    ) as lanes:
        while not all(lane.is_ready for lane in lanes.living):
            lanes.wait()
        epoch = RollingEpoch(
            study=study,
            context=context_of_spec(spec),
            space=spec.search_space,
            selector=spec.selector,
            folder=folder,
            **{
                "max_trials": 40,
                "timeout_s": 1e6,
                "seed": 0,
                "progress": Progress(on_line=lines.append),
                "is_replay": False,
                "is_alone": True,
                **more,
            },
            lanes=lanes,
        )
        return epoch.run(), lines


def events(folder):
    """Return what the lanes did in the order of time, each with its card."""
    lines = [
        (float(line.split()[0]), log.parent.name, line.split(maxsplit=1)[1])
        for log in folder.glob("lanes/*/orders.log")
        for line in log.read_text().splitlines()
    ]
    return [(card, text) for _, card, text in sorted(lines)]


def begun(folder):
    return [(card, text.removeprefix("begun ")) for card, text in events(folder) if "begun" in text]


def test_the_baseline_comes_first_and_alone_then_once_on_the_other_card(spec, study, tmp_path):
    ending, _ = run(spec, study, tmp_path, max_trials=6)
    assert (ending.limit, len(counted(study))) == (RunLimit.TRIALS, 6)
    all_events = events(tmp_path)
    first, second = [event for event in all_events if "prepared" not in event[1]][:2]
    assert first[1].startswith(f"begun {BASELINE}") and second[1].startswith(f"ended {BASELINE}")
    other = {"GPU-a": "GPU-b", "GPU-b": "GPU-a"}[first[0]]
    mine = [text for card, text in begun(tmp_path) if card == other]
    assert mine[0].startswith(BASELINE)
    prepared = [event for event in all_events if "prepared" in event[1]]
    assert prepared == [(other, f"prepared {BASELINE}")]
    assert "fresh=False" in mine[0]  # its servers were launched for it alone
    trials = study.get_trials()
    assert [t.user_attrs["card"] for t in trials if t.user_attrs.get("role") == BRIDGE] == [other]
    assert study.user_attrs["cards"] == {"GPU-a": "580.1", "GPU-b": "580.1"}


def test_all_are_measured_in_the_range_of_ramps_that_the_first_found(spec, study, tmp_path):
    run(spec, study, tmp_path, max_trials=5)
    ranges = Counter(text.split("range=")[1].split()[0] for _, text in begun(tmp_path))
    assert ranges.pop("None") == 1 and len(ranges) == 1
    assert str(study.user_attrs["ramp_range"]["first_per_s"]) in ranges


@pytest.mark.parametrize("max_trials", [1, 2, 7])
def test_the_budget_is_never_overshot_and_nothing_is_measured_twice(
    spec, study, tmp_path, max_trials
):
    cards = ("GPU-a", "GPU-b", "GPU-c")
    run(spec, study, tmp_path, {"GPU-c": [0.5]}, cards, max_trials=max_trials)
    assert len(counted(study)) == len(begun(tmp_path)) == max_trials
    assert [t.number for t in study.get_trials()] == [*range(len(study.get_trials()))]
    seeds = Counter(text.split(" fresh")[0] for _, text in begun(tmp_path))
    assert max(seeds.values()) == 1
    lines = (tmp_path / "epoch_1/metrics.jsonl").read_text().splitlines()
    assert len([json.loads(line) for line in lines]) == max_trials


def test_a_space_that_is_measured_ends_the_run(spec, study, tmp_path):
    ending, _ = run(spec, study, tmp_path)
    assert ending.limit is RunLimit.SPACE
    launched = Counter(text.split(" seed")[0] for _, text in begun(tmp_path))
    assert launched.pop(BASELINE) == 2
    finals = [t for t in study.get_trials() if t.user_attrs["role"] == REPLICATE]
    assert sum(launched.values()) - len(launched) == len(finals) <= finals_in(40)


def test_a_trial_whose_lane_is_lost_is_told_once_and_says_so(spec, study, tmp_path):
    run(spec, study, tmp_path, {"GPU-b": ["well", "is killed", "well"]}, max_trials=6)
    assert len(counted(study)) == 6
    (lost,) = [t for t in study.get_trials() if "lost" in t.user_attrs]
    known = (TrialState.COMPLETE, TrialState.PRUNED)
    assert lost.state in known and "SIGKILL" in lost.user_attrs["lost"][0]
    assert (tmp_path / "trials/s" / f"{lost.number}-attempt-2" / "llm.log").is_file()


def test_a_trial_that_no_lane_ends_uses_no_budget(spec, study, tmp_path):
    moods = {"GPU-b": ["well", "is killed", "well"]}
    patience = Patience(retries=0, memory_s=1.0, end_s=10.0)
    run(spec, study, tmp_path, moods, patience=patience, max_trials=6)
    (lost,) = [r for r in rows(study) if r.state is State.INTERRUPTED]
    assert len(counted(study)) == 6 and not lost.counts


def test_no_lane_left_leaves_a_study_that_goes_on(spec, study, tmp_path):
    moods = {"GPU-a": ["well", "is killed"], "GPU-b": ["is killed"]}
    with pytest.raises(SetupError, match="no lane is left"):
        run(spec, study, tmp_path, moods, max_trials=8)
    assert not study.get_trials(states=(TrialState.RUNNING,)) and len(counted(study)) < 8
    before, bridges = len(begun(tmp_path)), len(study.user_attrs["cards"])
    run(spec, study, tmp_path, max_trials=8)
    assert len(counted(study)) == 8
    again = [text for _, text in begun(tmp_path)[before:] if text.startswith(BASELINE)]
    assert len(again) == 2 - bridges


def test_what_the_machine_cannot_run_ends_all_and_is_not_measured(spec, study, tmp_path):
    with pytest.raises(SetupError, match="--flag"):
        run(spec, study, tmp_path, {"GPU-a": ["cannot"], "GPU-b": ["cannot"]})
    assert not counted(study) and not study.get_trials(states=(TrialState.RUNNING,))


def test_time_that_is_over_ends_what_is_begun_and_gives_the_rest_back(spec, study, tmp_path):
    moods = {"GPU-a": [0.3], "GPU-b": [0.3]}
    ending, _ = run(spec, study, tmp_path, moods, timeout_s=1.5)
    assert ending.limit is RunLimit.TIME
    assert len(begun(tmp_path)) == len(counted(study)) < 12
    assert {r.state for r in rows(study) if not r.counts} <= {State.NOT_STARTED}


def test_a_lane_asks_whether_the_rest_is_worth_its_time(spec, study, tmp_path):
    class Racer:
        score = None

        def __init__(self, allocation, scorer):
            self.allocation, self.scorer = allocation, scorer

        def __call__(self, so_far):
            if str(self.allocation) == BASELINE:
                return True
            self.score = self.scorer.score(self.allocation, so_far)
            return False

    def racer(trial, allocation, scorer, *, may_be_given_up):
        return Racer(allocation, scorer)

    run(spec, study, tmp_path, max_trials=5, racer=racer)
    states = {str(r.allocation): r.state for r in counted(study)}
    assert states.pop(BASELINE) is State.COMPLETE
    assert (
        set(states.values()) <= {State.DOMINATED, State.PRUNED}
        and State.DOMINATED in states.values()
    )


def test_a_card_measures_the_baseline_again_after_so_many_trials(
    spec, study, tmp_path, monkeypatch
):
    monkeypatch.setattr(across_cards, "BRIDGE_EVERY", 3)
    run(spec, study, tmp_path, cards=("GPU-a",), max_trials=9)
    keys = [text.split(" seed")[0] for _, text in begun(tmp_path)]
    assert [n for n, key in enumerate(keys) if key == BASELINE] == [0, 4, 8]
    seeds = [text.split("seed=")[1].split()[0] for _, text in begun(tmp_path) if BASELINE in text]
    assert len(set(seeds)) == 3


def test_a_trial_that_no_lane_prefers_is_measured_before_long(spec, study, tmp_path, monkeypatch):
    monkeypatch.setattr(rolling, "LATE", 3)
    run(spec, study, tmp_path, max_trials=4)
    baseline = context_of_spec(spec).baseline
    queue_again(study, spec.search_space, baseline, REPLICATE)  # both cards have measured it
    order = []
    run(spec, study, tmp_path, max_trials=12, on_lane=lambda lane, begun: order.append(begun))
    (waited,) = [n for n, b in enumerate(order) if (b.role, b.allocation) == (REPLICATE, baseline)]
    assert waited <= 4 < len(order) - 1


@pytest.mark.parametrize("max_trials", [11, 40])  # the budget ends, or the space
def test_the_last_launches_are_leaders_on_a_second_card(spec, study, tmp_path, max_trials):
    run(spec, study, tmp_path, max_trials=max_trials)
    trials = counted(study)
    finals = [t for t in study.get_trials() if t.user_attrs.get("role") == REPLICATE]
    assert 1 <= len(finals) <= finals_in(max_trials) and len(trials) <= max_trials
    for final in finals:
        key = str(trials[final.number].allocation)
        cards = [card for card, text in begun(tmp_path) if text.startswith(f"{key} ")]
        assert sorted(cards) == ["GPU-a", "GPU-b"]
    if max_trials == 40:  # nothing was under way that could lead later
        winner = decision_of(trials, context_of_spec(spec)).winner
        assert {t.measurement.measured_on for t in winner.measured} == {"GPU-a", "GPU-b"}


def test_what_a_slower_card_measures_is_scored_against_its_own_baseline(
    spec, study, tmp_path, monkeypatch
):
    monkeypatch.setattr(across_cards, "BRIDGE_EVERY", 3)
    (tmp_path / "speeds.json").write_text(json.dumps({"GPU-a": 1.0, "GPU-b": 1.08}))
    run(spec, study, tmp_path, max_trials=24)
    rows = of_all_cards(counted(study), context_of_spec(spec))
    reference = next(r for r in rows if r.is_reference).measurement.measured_on
    (other,) = {"GPU-a", "GPU-b"} - {reference}
    assert {r.own_card for r in rows if r.measurement} == {None, other}
    fitness = {
        card: [r.fitness for r in rows if str(r.allocation) == BASELINE and is_on(r, card)]
        for card in (reference, other)
    }
    scores = {r.number: r.fitness for r in counted(study)}
    bridges = [r for r in rows if str(r.allocation) == BASELINE and is_on(r, other)]
    assert fmean(fitness[other]) == pytest.approx(fmean(fitness[reference]), abs=0.006)
    assert abs(scores[bridges[0].number] - fmean(fitness[reference])) > 0.006  # nobody knew yet
    assert scores[bridges[-1].number] == pytest.approx(bridges[-1].fitness, abs=0.006)


def test_two_lanes_of_two_cards_give_the_answer_of_one_and_a_lost_trial_goes_to_the_other(
    spec, tmp_path
):
    winners, sets = [], ("GPU-a GPU-b", "GPU-c GPU-d")
    for name, cards, moods in (
        ("one", sets[:1], {}),
        ("two", sets, {sets[1]: ["well", "is killed", "well"]}),
    ):
        study = open_made(spec, optuna.storages.InMemoryStorage(), name=name)
        (tmp_path / name).mkdir()
        run(spec, study, tmp_path / name, moods, cards)
        trials, context = counted(study), context_of_spec(spec)
        assert {t.measurement.measured_on for t in trials if t.measurement} == {*cards}
        winners.append(decision_of(of_all_cards(trials, context), context))
    one, two = winners
    assert str(one.winner.allocation) == str(two.winner.allocation)
    (lost,) = [t for t in study.get_trials() if "lost" in t.user_attrs]
    assert lost.user_attrs["card"] == sets[0]
    assert lost.user_attrs["lost"] == ["GPU-c+d: its process ended by signal SIGKILL"]


def is_on(row, card):
    return row.measurement is not None and row.measurement.measured_on == card
