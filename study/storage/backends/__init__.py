"""What keeps studies: a database or a proxy before one, each waited for where it is away."""
