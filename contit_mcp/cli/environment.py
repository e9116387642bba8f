"""The process that we find ourselves in: closed streams, and variables of other programs that stop our dependencies."""

import importlib.metadata
import io
import os
import sys
from collections.abc import Callable, MutableMapping
from pathlib import Path


def open_streams() -> None:
    """Open the standard streams that the caller has closed: stdin is empty, stderr takes all, writes to stdout fail.

    So no file of ours gets their numbers. A character that a stream's encoding lacks becomes a question mark.
    """
    for name, flags in (("stdin", os.O_RDONLY), ("stdout", os.O_RDONLY), ("stderr", os.O_WRONLY)):
        stream = getattr(sys, name)
        if stream is None:
            descriptor = os.open(os.devnull, flags)
            os.set_inheritable(descriptor, True)  # noqa: FBT003
            stream = open(descriptor, "r" if name == "stdin" else "w", encoding="utf-8")  # noqa: SIM115, PTH123 - for the life of the process
            setattr(sys, name, stream)
        if name != "stdin" and isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def without_unusable(environment: MutableMapping[str, str]) -> list[str]:
    """Drop the variables that a dependency of ours could not use; return a phrase for each that is ignored."""
    ignored = []
    for name, is_usable, problem in _RULES:
        if (value := environment.get(name)) and not is_usable(value):
            del environment[name]
            ignored.append(f"{name}, which {problem}")
    if any(name.lower().endswith("_proxy") for name in environment):
        from contit_mcp.config.proxies import environment_proxies  # noqa: PLC0415 - start-up time

        ignored += environment_proxies()[1]
    return ignored


def _is_readable(value: str) -> bool:
    return Path(value).is_file() and os.access(value, os.R_OK)


def _is_writable(value: str) -> bool:
    path = Path(value)
    return os.access(path if path.exists() else path.parent, os.W_OK) and not path.is_dir()


def _is_number(value: str) -> bool:
    return value.isascii() and value.isdigit() and len(value) < 6


def _is_installed(group: str) -> Callable[[str], bool]:
    """Whether the names in a value are those of installed plugins of OpenTelemetry."""

    def look(value: str) -> bool:
        known = {entry.name for entry in importlib.metadata.entry_points(group=f"opentelemetry_{group}")}
        return all(name.strip() in known for name in value.split(","))

    return look


_RULES: tuple[tuple[str, Callable[[str], bool], str], ...] = (
    ("SSL_CERT_FILE", _is_readable, "names no readable file"),
    ("SSL_CERT_DIR", lambda value: any(Path(part).is_dir() for part in value.split(os.pathsep)), "names no folder"),
    ("SSLKEYLOGFILE", _is_writable, "names no file that can be written"),
    ("COLUMNS", _is_number, "is not a number"),
    ("LINES", _is_number, "is not a number"),
    ("WEB_CONCURRENCY", _is_number, "is not a number"),
    ("OTEL_PROPAGATORS", _is_installed("propagator"), "names a propagator that is not installed"),
    ("OTEL_PYTHON_CONTEXT", _is_installed("context"), "names a context that is not installed"),
    ("OTEL_PYTHON_TRACER_PROVIDER", _is_installed("tracer_provider"), "names a provider that is not installed"),
    ("OTEL_PYTHON_METER_PROVIDER", _is_installed("meter_provider"), "names a provider that is not installed"),
)
