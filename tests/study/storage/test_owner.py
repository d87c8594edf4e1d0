"""A trial is its owner's: a process by its host, boot, namespace, pid and start."""

from __future__ import annotations

from dataclasses import replace

import pytest

from study.storage.owner import Owner, owner_of

ME = Owner.me()
DEAD = 2**22 + 1


def test_this_process_lives_and_is_read_as_it_was_written() -> None:
    assert ME.may_live(ME, is_alone=True)
    assert owner_of(ME.to_json(), ME) == ME


def test_a_process_that_ended_or_whose_pid_is_anothers_does_not_live() -> None:
    assert not replace(ME, pid=DEAD).may_live(ME, is_alone=False)
    assert not replace(ME, started_s=ME.started_s - 60).may_live(ME, is_alone=False)


@pytest.mark.parametrize("pid", [ME.pid, DEAD], ids=["lives", "dead"])
def test_of_another_host_nothing_here_tells(pid: int) -> None:
    other = replace(ME, host="other", boot="another", pid=pid)
    assert other.may_live(ME, is_alone=True) and other.may_live(ME, is_alone=False)


def test_after_a_boot_of_this_host_nothing_of_before_lives() -> None:
    assert not replace(ME, boot="before").may_live(ME, is_alone=False)


def test_a_pid_of_another_namespace_means_nothing_here() -> None:
    other = replace(ME, host="container", namespace="pid:[1]", pid=DEAD)
    assert other.may_live(ME, is_alone=False)
    assert not other.may_live(ME, is_alone=True)  # it held the lock that we hold now


def test_the_pid_that_an_earlier_version_wrote_is_of_this_host() -> None:
    owner = owner_of([DEAD, 0.0], ME)
    assert owner is not None and not owner.may_live(ME, is_alone=False)


@pytest.mark.parametrize("odd", [None, 5, [], ["x", 1], {"pid": 1}])
def test_what_names_no_process_is_nobodys(odd: object) -> None:
    assert owner_of(odd, ME) is None
