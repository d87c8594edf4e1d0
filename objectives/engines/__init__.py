"""How a server is started, when it is ready and what it tells, an engine a file."""
