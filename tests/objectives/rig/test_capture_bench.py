"""The bench of the capture shows what it adds, from answers that came whole."""

from objectives.rig.capture_bench import BenchRun, measured, row


def test_a_row_has_the_differences_and_the_time_a_request():
    alone = BenchRun((1.0, 2.0, 3.0), (10.0, 20.0, 30.0))
    through = BenchRun((1.5, 2.5, 5.0), (10.0, 21.0, 30.0), 0.003, 0.0015)
    assert row(8, "captured", alone, through).split() == [
        *("8", "captured", "3", "+0.50", "+2.00", "+1.00", "+0.00", "1.00", "0.50")
    ]


def test_both_ways_are_measured_and_the_capture_takes_time():
    alone, through = measured(2, 1, 0.5, is_mirrored=True)
    assert len(alone.first_ms) >= 2 and len(through.first_ms) >= 2
    assert min(through.whole_ms) > 32 * 10.0 * 0.9
    assert through.capture_s > 0 and alone.capture_s == 0
