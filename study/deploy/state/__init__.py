"""This room keeps what a change leaves on disk: versions, its record, and its dead-man timer."""
