"""Of a study's open trials only those written to are read, where nobody else writes to them.

Optuna reads every trial that has not ended for every question; with many lanes that is most of
what their driver does.
"""

from __future__ import annotations

import threading
from collections.abc import Container

from optuna.trial import FrozenTrial, TrialState

from study.storage.tables.statements import PlainStorage


class ChangedStorage(PlainStorage):
    """The storage knows what it has read and not written to since, once it is told to."""

    _writer: int | None = None  # the thread that alone writes to trials; None where others may
    _newest: dict[int, int]  # the greatest id of a trial that was read, by study
    _read: set[int]  # open trials that are as they were read

    def written_here_alone(self) -> None:
        """Trust from now on that this thread alone writes to trials that are open."""
        self._writer, self._newest, self._read = threading.get_ident(), {}, set()

    def note_write(self, trial_id: int) -> None:
        """Note that a trial is no more as it was read."""
        if self._writer is not None:
            self._read.discard(trial_id)

    def forget(self) -> None:
        """Read all that is open once more: what was read may have been undone."""
        if self._writer is not None:
            self._newest, self._read = {}, set()

    def _get_trials(
        self,
        study_id: int,
        states: Container[TrialState] | None,
        included_trial_ids: set[int],
        trial_id_greater_than: int,
    ) -> list[FrozenTrial]:
        """Return the trials with these ids or greater ones, less those that are as they were read.

        Raises:
            KeyError: There is no such study.
        """
        ids, newest, is_own = included_trial_ids, trial_id_greater_than, False
        if self._writer is not None:
            is_own = states is None and threading.get_ident() == self._writer
            if is_own and (ids or newest >= 0):  # else all are asked for
                ids, newest = ids - self._read, max(newest, self._newest.get(study_id, newest))
            elif not is_own:
                self.forget()  # Optuna keeps what this thread reads, which may be older
        trials = super()._get_trials(study_id, states, ids, newest)
        if is_own:
            self._newest[study_id] = max([newest, *(t._trial_id for t in trials)])
            self._read |= {t._trial_id for t in trials if not t.state.is_finished()}
        return trials
