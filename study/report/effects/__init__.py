"""This room tabulates for people what each parameter does to each figure."""
