"""The instrument: how good is one division of a device between an LLM server and speech recognition?"""
