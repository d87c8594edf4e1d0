"""Checks what of this machine a container sees, by the words of its `run`."""

from __future__ import annotations

from pathlib import Path

import pytest

from study.server_words.docker_run import host_path, run_words


@pytest.mark.parametrize(
    ("options", "place"),
    [
        ("-v /a:/m", "/a/sub/q.gguf"),
        ("-v/a:/m:ro,z --volume=/b:/m/sub", "/b/q.gguf"),
        ("--mount type=bind,src=/a,dst=/m,readonly", "/a/sub/q.gguf"),
        ("--mount=type=bind,source=/a/q.gguf,destination=/m/sub/q.gguf", "/a/q.gguf"),
        ("--volume ./a:/m", "a/sub/q.gguf"),
        ("-v a:/m --mount type=volume,src=b,dst=/m", None),
        ("-v /m", None),
        ("-v /a:/m/su", None),
    ],
)
def test_a_file_in_a_container_is_found_behind_the_innermost_folder_that_is_bound(
    options: str, place: str | None
) -> None:
    words = run_words([*options.split(), "image", "-v", "/c:/m"])
    found = host_path(words.options, Path("/m/sub/q.gguf"))
    assert found == (None if place is None else Path(place))
