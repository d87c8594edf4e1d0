"""What a change leaves on disk: versions, the change under way, and the timer that undoes it."""
