"""Cards of one product differ: by how much, and what the launches of each are relative to."""
