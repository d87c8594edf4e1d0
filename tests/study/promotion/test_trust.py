"""What root acts on was written by root or by who asked, wherever on the way others could write."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import pytest

from objectives.errors import BadInput
from study.promotion.trust import ROOT_ONLY, check_trusted, trusted_users

OTHER = 12345
is_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    folder = tmp_path / "a" / "promotions"
    folder.mkdir(parents=True)
    for made in (tmp_path / "a", folder):
        made.chmod(0o755)
    (folder / "p.yaml").write_text("status: confirmed")
    (folder / "p.yaml").chmod(0o644)
    return folder / "p.yaml"


def test_what_nobody_else_can_write_is_taken(file: Path) -> None:
    check_trusted(file)
    check_trusted(file.parent)
    check_trusted(file.parent / ".." / file.parent.name / file.name)


@pytest.mark.parametrize("place", ["p.yaml", "promotions", "a"])
@pytest.mark.parametrize("mode", [0o020, 0o002])
def test_what_others_may_write_is_refused(file: Path, place: str, mode: int) -> None:
    at = next(p for p in (file, *file.parents) if p.name == place)
    at.chmod(at.stat().st_mode | mode)
    with pytest.raises(BadInput, match=f"others may write {at} .*chmod go-w.*install -D"):
        check_trusted(file)


def test_a_folder_in_which_only_owners_remove_is_no_place_for_promotions(file: Path) -> None:
    above = file.parents[1]
    above.chmod(0o1777)  # as /tmp is
    check_trusted(file)
    above.chmod(0o755)
    file.parent.chmod(0o1777)
    for path in (file, file.parent):
        with pytest.raises(BadInput, match="others may write"):
            check_trusted(path)


@is_root
@pytest.mark.parametrize("place", ["p.yaml", "promotions", "a"])
def test_what_belongs_to_somebody_else_is_refused_unless_they_ask(
    file: Path, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = next(p for p in (file, *file.parents) if p.name == place)
    os.chown(at, OTHER, OTHER)
    monkeypatch.delenv("SUDO_UID", raising=False)
    with pytest.raises(BadInput, match=f"{at} belongs to user {OTHER}"):
        check_trusted(file)
    monkeypatch.setenv("SUDO_UID", str(OTHER))
    check_trusted(file)
    with pytest.raises(BadInput, match="others than root could"):
        check_trusted(file, ROOT_ONLY)


@is_root
def test_a_link_is_as_good_as_its_owner_and_where_it_leads(file: Path) -> None:
    link, bad = file.parents[1] / "link", file.parents[2] / "open"
    link.symlink_to(file.parent)
    check_trusted(link / "p.yaml")
    os.chown(link, OTHER, OTHER, follow_symlinks=False)
    with pytest.raises(BadInput, match="link belongs to user"):
        check_trusted(link / "p.yaml")
    link.unlink()
    bad.mkdir()
    bad.chmod(0o777)
    (bad / "promotions").symlink_to(file.parent)
    link.symlink_to("../open/promotions")
    with pytest.raises(BadInput, match=f"others may write {bad}"):
        check_trusted(link / "p.yaml")


def test_links_in_a_circle_are_said(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    for path in (tmp_path / "a", tmp_path / "none"):
        with pytest.raises(BadInput, match="name a file that is there"):
            check_trusted(path)


def test_an_access_list_that_lets_another_write_is_refused(file: Path) -> None:
    user, rights = {1: -1, 2: OTHER, 4: -1, 16: -1, 32: -1}, {1: 6, 2: 6, 4: 4, 16: 6, 32: 4}
    acl = struct.pack("<I", 2)  # posix_acl_xattr_header, then tag, rights, id
    for tag, right in rights.items():
        acl += struct.pack("<HHi", tag, right, user[tag])
    try:
        os.setxattr(file, "system.posix_acl_access", acl)
    except OSError as error:
        pytest.skip(f"no access lists on this file system: {error}")
    with pytest.raises(BadInput, match="others may write"):
        check_trusted(file)


def test_who_is_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setenv("SUDO_UID", "1000")
    assert trusted_users() == {0, 1000}
    monkeypatch.setenv("SUDO_UID", "-1")
    assert trusted_users() == {0}
    monkeypatch.setattr(os, "geteuid", lambda: 7)
    monkeypatch.setenv("SUDO_UID", "1000")  # without sudo it is only a word
    assert trusted_users() == {0, 7}
