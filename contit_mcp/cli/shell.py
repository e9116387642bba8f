"""Commands for people to copy into their shell."""

import os
import shlex
import subprocess


def shell_line(*words: str) -> str:
    """The words as one line that this system's shell reads back as the same words."""
    return subprocess.list2cmdline(words) if os.name == "nt" else shlex.join(words)
