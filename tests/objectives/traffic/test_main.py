"""Clips are checked by a command that says what they can show."""

from objectives.traffic.__main__ import main


def test_it_says_how_many_words_there_are_and_how_many_it_takes(capsys):
    assert main(["assistant"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "assistant: 24 clips, 159 words, 1.1 min"
    assert "+-2.33 points where both hear the same" in lines[1]
    assert "takes 768 words, 5.1 min of such speech" in lines[2]


def test_what_is_wrong_with_a_folder_is_one_line(capsys, tmp_path):
    assert main([str(tmp_path)]) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.startswith(f"{tmp_path}/manifest.jsonl: it cannot be read")
    assert output.err.count("\n") == 1
