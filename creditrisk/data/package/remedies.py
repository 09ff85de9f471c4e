"""What to do about a file that is not as it should be: a command that works where it is pasted."""

import shlex
import subprocess
from pathlib import Path


def restore(path: Path) -> str:
    """How to have a file back that git knows; of any other, that another is to be given."""
    if not _is_in_git(path):
        return "give another file"
    return f"restore the file: git checkout -- {shlex.quote(str(path))}"


def _is_in_git(path: Path) -> bool:
    """Whether git has a version of a file, which a user's own file mostly is not."""
    asked = ["git", "ls-files", "--error-unmatch", "--", path.name]
    try:
        known = subprocess.run(
            asked, cwd=path.absolute().parent, capture_output=True, check=False, timeout=20
        )
    except (OSError, ValueError, subprocess.SubprocessError):
        return False
    return known.returncode == 0
