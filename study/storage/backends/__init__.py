"""A database keeps studies, or a proxy before one; each is waited for where it is away."""
