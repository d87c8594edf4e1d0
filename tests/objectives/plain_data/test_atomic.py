"""Files and folders appear whole or not at all, with their mode."""

from __future__ import annotations

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from objectives.plain_data.atomic import drafted, write_atomic


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def test_a_file_is_replaced_and_nothing_else_is_left(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    write_atomic(file, "größer\n")
    write_atomic(file, b"\x89PNG", durable=True)
    assert file.read_bytes() == b"\x89PNG" and names(tmp_path) == ["a.txt"]


def test_permissions_are_those_of_the_umask_unless_stated(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    before = os.umask(0o027)
    try:
        write_atomic(file, "")
        assert stat.S_IMODE(file.stat().st_mode) == 0o640
        write_atomic(file, "", mode=0o644)
        assert stat.S_IMODE(file.stat().st_mode) == 0o644
    finally:
        os.umask(before)
    file.chmod(0o600)
    write_atomic(file, "key", mode=0o644, like=file.stat())
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_writers_at_once_leave_the_whole_text_of_one_of_them(tmp_path: Path) -> None:
    file, texts = tmp_path / "a.txt", [f"{n}" * 100_000 for n in range(8)]
    with ThreadPoolExecutor() as threads:
        list(threads.map(lambda text: write_atomic(file, text), texts * 5))
    assert file.read_text() in texts and names(tmp_path) == ["a.txt"]


def test_a_failure_keeps_what_was_there(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    write_atomic(file, "old")
    with pytest.raises(UnicodeEncodeError):
        write_atomic(file, "\ud800")
    with pytest.raises(KeyboardInterrupt), drafted(tmp_path / "folder") as draft:
        draft.mkdir()
        (draft / "half").touch()
        raise KeyboardInterrupt
    assert file.read_text() == "old" and names(tmp_path) == ["a.txt"]


def test_a_link_is_replaced_not_followed(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    (tmp_path / "current").symlink_to("old")
    with drafted(tmp_path / "current", durable=True) as draft:
        draft.symlink_to("new")
    assert (tmp_path / "current").readlink() == Path("new") and (tmp_path / "old").is_dir()
    with pytest.raises(IsADirectoryError), drafted(tmp_path / "old") as draft:
        draft.symlink_to("current")
    assert names(tmp_path) == ["current", "old"]


def test_a_long_name_may_be_written(tmp_path: Path) -> None:
    write_atomic(tmp_path / ("ü" * 127), "x")
    assert names(tmp_path) == ["ü" * 127]
