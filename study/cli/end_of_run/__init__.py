"""Show what a run came to: tables, what is ruled out, and what to type next."""
