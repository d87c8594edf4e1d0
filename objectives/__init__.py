"""The instrument measures how well an LLM server and speech recognition share one device."""
