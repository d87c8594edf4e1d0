"""This room says where a study's wall time went, and what keeping servers running saved."""
