"""Losses of lanes say how long a lane is waited for, and where its task is tried again."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from study.lanes.lane import Task


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """Patience says when a lane is lost, and what is done then.

    Args:
        retries: How often a task whose lane was lost is tried again.
        most_lost: A lane that was lost so often is used no more.
        silent_s: A lane that says nothing for so long is ended, seconds; it beats every 5 s.
        overtime_s: It may be at work for the longest time of a measurement and so much more,
            seconds.
        memory_s: Within this time the memory of a lost one is free again, seconds.
        end_s: Within this time a lane that is closed has ended, seconds.
    """

    retries: int = 2
    most_lost: int = 3
    silent_s: float = 60.0
    overtime_s: float = 120.0
    memory_s: float = 60.0
    end_s: float = 60.0


@dataclass(slots=True)
class Retries:
    """Retries are the tasks whose lanes were lost, each with the card of the last one.

    Args:
        most: How often a task is tried again.
    """

    most: int
    _waiting: list[tuple[Task, str]] = field(default_factory=list)
    _losses: dict[int, list[str]] = field(default_factory=dict)  # by the number of a task

    @property
    def tasks(self) -> list[Task]:
        """Return those that wait for a lane."""
        return [task for task, _ in self._waiting]

    def lose(self, task: Task, card: str, why: str) -> bool:
        """Note that the lane of a task was lost; return whether the task is tried again."""
        losses = self._losses.setdefault(task.number, [])
        losses.append(why)
        if len(losses) > self.most:
            return False
        self.add(task, card)
        return True

    def add(self, task: Task, card: str) -> None:
        """Let a task wait for another lane than that of a card."""
        self._waiting.append((task, card))

    def take(self, card: str, *, is_last: bool) -> Task | None:
        """Return a task for the lane of a card: one that it lost only where it is the last."""
        for waiting in self._waiting:
            task, lost_on = waiting
            if task.card == card or (task.card is None and (lost_on != card or is_last)):
                self._waiting.remove(waiting)
                return task
        return None

    def take_all_of(self, card: str) -> list[Task]:
        """Return the tasks that the lane of this card alone may measure."""
        own = [waiting for waiting in self._waiting if waiting[0].card == card]
        for waiting in own:
            self._waiting.remove(waiting)
        return [task for task, _ in own]

    def with_own_folder(self, task: Task) -> Task:
        """Return a task whose next attempt has a folder of its own."""
        if not (losses := self._losses.get(task.number)):
            return task
        folder = task.job.folder
        own = folder.with_name(f"{folder.name}-attempt-{len(losses) + 1}")
        return replace(task, job=replace(task.job, folder=own))

    def end(self, task: Task) -> tuple[str, ...]:
        """Return what became of the lanes that a task was tried in, which has ended."""
        return tuple(self._losses.pop(task.number, ()))
