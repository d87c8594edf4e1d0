"""How requests are sent on time, and what came back."""
