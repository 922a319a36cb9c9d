"""What went wrong, in words for whoever started the generator."""


class LoadError(Exception):
    """Wrong use, or an environment that cannot carry the load: one line for the user, exit 2."""
