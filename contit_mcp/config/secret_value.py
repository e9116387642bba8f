"""A secret that never shows itself: a fixed value, or a file that is read again when it changes."""

from pathlib import Path

from contit_mcp.errors import ConfigurationError


class SecretValue:
    """One secret. `str()` and `repr()` are masked; only `reveal()` gives it.

    Args:
        name: The setting it came from, for messages.
        value: The secret itself, or
        file: the file that holds it; surrounding white space is dropped, and a changed file is read again.
    """

    def __init__(self, name: str, *, value: str | None = None, file: Path | None = None) -> None:
        if (value is None) == (file is None):
            raise ValueError("give exactly one of value and file")
        self.name = name
        self._value = value
        self._file = file
        self._read: tuple[int, int, int] | None = None
        self._seen: set[str] = {value} if value else set()

    def __repr__(self) -> str:
        return f"SecretValue({self.name}, {'a file' if self._file else 'set'})"

    def reveal(self) -> str:
        """Return the secret as it is now.

        Raises:
            ConfigurationError: The file is missing, unreadable or empty.
        """
        if self._file is not None:
            self._refresh(self._file)
        assert self._value is not None  # noqa: S101 - set by __init__ or by _refresh
        return self._value

    def seen(self) -> frozenset[str]:
        """Every value it has had so far, for masking; reads no file."""
        return frozenset(self._seen)

    def _refresh(self, file: Path) -> None:
        # What is about the content is not chained: a codec's error carries all of it along.
        try:
            stat = file.stat()
            seen = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
            if seen == self._read:
                return
            value = file.read_text(encoding="utf-8-sig").strip()
        except OSError as exc:
            raise self._unreadable(file, exc.strerror or "unknown reason") from exc
        except UnicodeDecodeError:
            problem = self._unreadable(file, "not UTF-8 text")
        except ValueError:
            problem = self._unreadable(file, "not a path")
        else:
            if value:
                self._value, self._read = value, seen
                self._seen.add(value)
                return
            problem = ConfigurationError(
                f"The file that {self.name}_FILE names is empty.", hint=f"Write the secret into {file}."
            )
        raise problem

    def _unreadable(self, file: Path, reason: str) -> ConfigurationError:
        return ConfigurationError(
            f"The file that {self.name}_FILE names cannot be read: {reason}.",
            hint=f"Check that {file} exists and that this user may read it.",
        )
