"""Racing gives up a candidate in the middle of its measurement, once it cannot win any more."""
