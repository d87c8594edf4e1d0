"""One launch is exercised: each service alone, turns up a ramp, then all under the trace."""
