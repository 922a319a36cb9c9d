"""How each model waits for a unit and for the upstream, with its own kind of socket."""
