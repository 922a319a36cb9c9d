"""What went wrong, in words for the user.

Knows nothing of what failed: the raiser says what, where and how to fix it.
"""


class UserError(Exception):
    """Wrong use or a broken environment: shown as one message, without a traceback.

    The command line prints the message and exits with `exit_code`.
    """

    exit_code = 2
