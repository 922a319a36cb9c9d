"""What went wrong, in words for the user.

Knows nothing of what failed: the raiser says what, where and how to fix it.
"""

import errno
from pathlib import Path


class UserError(Exception):
    """Wrong use or a broken environment: shown as one message, without a traceback.

    The command line prints the message and exits with `exit_code`.
    """

    exit_code = 2


def cannot_write(what: Path | str, error: OSError, otherwise: str) -> UserError:
    """The error to raise when a file cannot be written; `otherwise` is what the user may do."""
    full = "free the disk or " if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG) else ""
    return UserError(f"cannot write {what}: {error.strerror}; {full}{otherwise}")
