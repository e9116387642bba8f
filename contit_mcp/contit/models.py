"""What Contit sends, as documented; fields that nobody documented are ignored."""

from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from contit_mcp.contit.paths import id_problem


def _usable(value: str) -> str:
    if problem := id_problem(value):
        raise ValueError(problem)
    return value


_Id = Annotated[str, AfterValidator(_usable)]


class _Wire(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", alias_generator=to_camel, hide_input_in_errors=True)


class StartedRun(_Wire):
    """The answer of `POST /ai-assistant/thread`."""

    thread_id: _Id
    run_id: _Id


class RunStatus(_Wire):
    """The answer of `GET …/status`. `word` is Contit's own, `phase` what it means to us."""

    word: str = Field(alias="status", min_length=1, max_length=200)

    @property
    def phase(self) -> "RunPhase":
        """Completed and the four known ways to end without an answer are ends; any other word is still running."""
        word = self.word.strip().casefold()
        if word == "completed":
            return RunPhase.COMPLETED
        if word in _ENDED_WITHOUT_AN_ANSWER:
            return RunPhase.FAILED
        return RunPhase.IN_PROGRESS

    @property
    def documented(self) -> bool:
        """Whether the word is one of the three that the vendor's page names."""
        return self.word in {"completed", "in_progress", "failed"}


class ThreadResponse(_Wire):
    """The answer of `GET …/response`."""

    text: str = Field(alias="response")


class RunPhase(StrEnum):
    """Where a run stands."""

    COMPLETED = "completed"
    IN_PROGRESS = "in_progress"
    FAILED = "failed"


# Assumed from the OpenAI Assistants vocabulary, which the documented ids and words resemble.
_ENDED_WITHOUT_AN_ANSWER = frozenset({"failed", "cancelled", "canceled", "expired", "incomplete"})
