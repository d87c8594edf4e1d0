"""A machine without systemd is named as what it is, with the way out."""

from __future__ import annotations

import pytest

from objectives.errors import SetupError
from study.systemd.systemctl import DEPLOY, LEND, WayOut, run


@pytest.mark.parametrize("way_out", [DEPLOY, LEND])
def test_where_no_systemd_runs_that_is_said_and_not_what_failed(way_out: WayOut) -> None:
    script = "echo 'Failed to connect to bus: Host is down' >&2; exit 1"
    with pytest.raises(
        SetupError, match=rf"^no systemd runs on this machine; {way_out.no_systemd}"
    ):
        run("sh", "-c", script, way_out=way_out)
