"""What a check finds, one line each, with a hint where something is wrong."""

from dataclasses import asdict, dataclass

from contit_mcp.errors import ContitError


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        subject: What.
        verdict: How it is, in one line; no part of a secret.
        good: Whether that is as it should be; None for what is only told.
        hint: What to do, where it is not.
    """

    subject: str
    verdict: str
    good: bool | None = None
    hint: str | None = None

    def lines(self) -> str:
        """For people."""
        mark = {True: "ok  ", False: "FAIL", None: "    "}[self.good]
        line = f"{mark} {self.subject}: {self.verdict}"
        return line if self.hint is None else f"{line}\n     hint: {self.hint}"


def failed(subject: str, error: ContitError) -> Finding:
    """What one of our errors says about a subject."""
    return Finding(subject, error.message, good=False, hint=error.hint)


def is_well(findings: list[Finding]) -> bool:
    """Whether nothing is wrong."""
    return all(finding.good is not False for finding in findings)


def for_scripts(findings: list[Finding]) -> dict[str, object]:
    """The JSON object."""
    return {"ok": is_well(findings), "findings": [asdict(finding) for finding in findings]}
