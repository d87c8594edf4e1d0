"""The cost of a study: where its wall time went, and what keeping servers running saved."""
