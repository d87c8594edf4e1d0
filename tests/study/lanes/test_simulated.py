"""The driver is measured with lanes that only take time: all are fed, and what it costs is said."""

from types import SimpleNamespace

from simulations.lanes import cost


def test_a_fleet_of_simulated_lanes_is_fed_to_the_end_of_the_budget(tmp_path):
    took = cost(tmp_path, SimpleNamespace(lanes=4, trials=9, storage="memory"))
    assert (took["lanes"], took["trials"], took["commits_per_trial"]) == (4, 9, 0.0)
    assert took["cpu_s_per_trial"] > 0 and took["simulated_h"] < 0.5
    assert took["idle_pct"] < 5
