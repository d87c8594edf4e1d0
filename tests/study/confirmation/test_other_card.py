"""These tests go on with a confirmation on another card of the product, or what is none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from made.live_confirmations import confirmed, folder_of, instantly, journal_of
from made.live_factories import promotion, shelf

from objectives.devices.device import Identity
from objectives.devices.device_set import first_of
from objectives.errors import BadInput
from study import provenance
from study.bench.bench import Bench
from study.confirmation.journal import read_journal, write_journal
from study.confirmation.live import measured as measuring
from study.confirmation.pairs.launcher import Launcher
from study.confirmation.pairs.runner import Runner
from study.promotion.seal import verify


class Card:
    """The card of the moment, which a test exchanges."""

    def __init__(self, spec_file: Path) -> None:
        self.spec_file = spec_file
        self.identity = Identity("Shelf", "card-a", 10_000.0, "580.1", None)

    def bench(self, *_: object) -> Bench:
        machine = shelf(self.spec_file)
        first_of(machine.devices).identity = self.identity  # type: ignore[misc]
        return machine


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Card:
    own = Card(tmp_path / "fakes.yaml")
    monkeypatch.setattr(measuring, "bench", own.bench)
    return own


@pytest.fixture
def instant(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    return instantly(monkeypatch)


def test_pairs_of_two_cards_go_into_one_verdict_and_the_half_made_one_is_begun_anew(
    tmp_path: Path, card: Card, instant: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, launch, stress, stressed = promotion(tmp_path), Launcher.launch, Runner._stress, []

    def cut(launcher: Launcher, *arguments: Any) -> Any:
        if len(instant) == 4 + 6 + 1 and card.identity.uuid == "card-a":
            raise KeyboardInterrupt  # in the middle of the fourth pair
        return launch(launcher, *arguments)

    def counted(runner: Runner, *arguments: Any) -> None:
        stressed.append(card.identity.uuid)
        stress(runner, *arguments)

    monkeypatch.setattr(Launcher, "launch", cut)
    monkeypatch.setattr(Runner, "_stress", counted)
    with pytest.raises(KeyboardInterrupt):
        confirmed(path)
    card.identity = replace(card.identity, uuid="card-b")
    code, lines = confirmed(path)
    assert code == 0, lines
    assert "going on after 2 A/A and 3 pairs" in " ".join(lines)
    assert any(line.startswith("those of card-a count beside those of card-b") for line in lines)
    journal = read_journal(journal_of(path))
    assert [(p.card, p.driver) for p in journal.of("ab")] == [
        *[("card-a", "580.1")] * 3,
        *[("card-b", "580.1")] * 3,
    ]
    assert [p.launches[0].role for p in journal.of("ab")] == ["baseline", "winner"] * 3
    assert len(instant) == 4 + 7 + 6  # the half pair's launch, and whole pairs on the other card
    assert ([p.card for p in journal.of("aa")], stressed) == (["card-a"] * 2, ["card-a"])
    document = verify(path)
    assert document["confirmation"]["cards"] == ["card-a", "card-b"]
    assert document["note"].startswith("confirmed by 6 pairs of fresh launches on 2 cards: ")
    assert "confirmed by 6 pairs of fresh launches on 2 cards" in lines[-1]


@pytest.mark.parametrize(
    ("changed", "refusal"),
    [
        ({"product": "Rack"}, "found on Shelf with 10000 MiB, this is Rack .*go on on a card like"),
        ({"total_mib": 8_000.0}, "this is Shelf with 8000 MiB; go on on a card like"),
        (
            {"driver": "575.2"},
            "begun with driver 580.1, not 575.2.*Go on as it was begun, or .*--f",
        ),
    ],
)
@pytest.mark.parametrize("is_older", [False, True])
@pytest.mark.usefixtures("instant")
def test_another_product_memory_or_driver_is_another_question(
    tmp_path: Path, card: Card, changed: dict[str, Any], refusal: str, is_older: bool
) -> None:
    path = promotion(tmp_path)
    confirmed(path, options={"steps": 1})
    if is_older:  # a journal whose head does not tell the driver; its pairs do
        journal = read_journal(journal_of(path))
        write_journal(replace(journal, head=replace(journal.head, driver=None)), folder_of(path))
    card.identity = replace(card.identity, uuid="card-b", **changed)
    before = journal_of(path).read_bytes()
    with pytest.raises(BadInput, match=refusal):
        confirmed(path)
    assert journal_of(path).read_bytes() == before


@pytest.mark.usefixtures("instant")
def test_other_code_that_measures_is_told_and_not_refused(
    tmp_path: Path, card: Card, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = promotion(tmp_path)
    confirmed(path, options={"steps": 4})
    _, lines = confirmed(path, options={"steps": 0})
    assert not any("the code that measures" in line for line in lines)
    for module in ("pair", "going_on"):
        name = f"study.confirmation.pairs.{module}.measuring_code"
        monkeypatch.setattr(name, lambda: "later")
    code, lines = confirmed(path)
    assert code == 0
    assert any("the code that measures (objectives/) is not that of all" in line for line in lines)
    codes = verify(path)["confirmation"]["measuring_code"]
    assert codes == [provenance.measuring_code(), "later"]
