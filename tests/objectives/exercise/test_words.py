"""Words are counted over clips of their own, also those in which nothing was heard."""

import pytest
from made.factories import endpoints_of

from objectives.errors import StudyError
from objectives.exercise.ready_servers import ReadyServers
from objectives.exercise.words import count_words
from objectives.servers import blame
from objectives.servers.blame import Suspects
from objectives.speech.wer import WordErrors
from objectives.traffic.clips import Clip

WORDS = (
    Clip("a.mp3", b"sound", 1.0, ("set a timer for twelve minutes",)),
    Clip("b.mp3", b"sound", 1.0, ("set a timer for ten minutes", "timer for 12 minutes")),
)
NOBODY = Suspects({}, {}, {})


def counted(generator, server, suspects=NOBODY):
    endpoints = endpoints_of(server.url, server.url, 2048, None)
    servers = ReadyServers(generator, endpoints, suspects, lambda _: None)
    return count_words(servers, "stt", WORDS, timeout_s=60)


def test_each_clip_is_held_against_its_own_references(generator, fake):
    assert counted(generator, fake()) == (WordErrors(0, 6), WordErrors(1, 6))


def test_where_nothing_is_heard_every_word_is_missed(generator, fake):
    assert counted(generator, fake("empty")) == (WordErrors(6, 6), WordErrors(6, 6))


def test_an_error_of_the_server_is_no_missed_word(generator, fake, monkeypatch):
    monkeypatch.setattr(blame, "DYING_S", 0.0)
    with pytest.raises(StudyError):
        counted(
            generator, fake("stt-500", "--after", 0), Suspects({}, {"stt": "transcription"}, {})
        )
