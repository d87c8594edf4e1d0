"""What ends a command is a sentence with a way out that fits."""

from __future__ import annotations

import errno
import os

import pytest

from study.cli.exit_codes import exiting


@pytest.mark.parametrize(
    ("number", "way_out"), [(errno.EACCES, "with sudo"), (errno.ENOSPC, "run again to go on")]
)
def test_a_file_that_may_not_be_read_is_no_full_disk(
    number: int, way_out: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end, exiting():
        raise OSError(number, os.strerror(number), "/etc/x.conf")
    said = " ".join(capsys.readouterr().err.split())
    assert end.value.code == 3 and "/etc/x.conf" in said and said.endswith(way_out)
