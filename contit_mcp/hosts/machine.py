"""The folders of a machine that hosts keep their files in, on each of the three operating systems."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

from contit_mcp.errors import ConfigurationError

System = Literal["macos", "windows", "linux"]


@dataclass(frozen=True, slots=True)
class Machine:
    """Whose machine it is, and from which folder we are called.

    Attributes:
        system: The operating system; what is none of the three is treated like Linux.
        home: The user's home folder.
        project: The folder that entries of a project go to.
        environment: The variables by which users move their folders.
    """

    system: System
    home: Path
    project: Path
    environment: Mapping[str, str]

    @classmethod
    def this(cls) -> Self:
        """The machine that we run on.

        Raises:
            ConfigurationError: The user has no home folder, or the current folder is gone.
        """
        system: System = "linux"
        if sys.platform == "darwin":
            system = "macos"
        elif sys.platform == "win32":
            system = "windows"
        try:
            return cls(system, Path.home(), Path.cwd(), os.environ)
        except RuntimeError as error:
            raise ConfigurationError("This user has no home folder.", hint="Set HOME to it.") from error
        except OSError as error:
            raise ConfigurationError(
                "The folder that this was called from is gone.", hint="Go to another one."
            ) from error

    def named_or(self, variable: str, otherwise: Path) -> Path:
        """The folder that the variable names by its full path; else the other one, as XDG has it."""
        named = Path(self.environment.get(variable, "").strip())
        return named if named.is_absolute() else otherwise

    def dot_config(self) -> Path:
        """`~/.config`, where command-line programs keep their files also on macOS."""
        return self.named_or("XDG_CONFIG_HOME", self.home / ".config")

    def roaming(self) -> Path:
        """Windows: `%APPDATA%`."""
        return self.named_or("APPDATA", self.home / "AppData" / "Roaming")

    def local(self) -> Path:
        """Windows: `%LOCALAPPDATA%`."""
        return self.named_or("LOCALAPPDATA", self.home / "AppData" / "Local")

    def applications(self) -> Path:
        """Where desktop applications keep their files."""
        if self.system == "macos":
            return self.home / "Library" / "Application Support"
        return self.roaming() if self.system == "windows" else self.dot_config()
