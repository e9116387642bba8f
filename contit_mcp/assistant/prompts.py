"""Which prompts are sent."""

from contit_mcp.errors import InvalidArgumentError

MAX_PROMPT_LENGTH = 32_000
"""Characters. The vendor documents no limit; this bounds what a runaway agent can send."""


def usable_prompt(prompt: str) -> str:
    """Return the prompt, unchanged.

    Raises:
        InvalidArgumentError: It is blank, too long, or not valid Unicode text.
    """
    if not prompt.strip():
        raise InvalidArgumentError("The prompt is blank.", hint="Say in prompt what you want to know.")
    if len(prompt) > MAX_PROMPT_LENGTH:
        raise InvalidArgumentError(
            f"The prompt has {len(prompt):,} characters; {MAX_PROMPT_LENGTH:,} are allowed.",
            hint="Ask for less at a time, and leave out what Contit already holds.",
        )
    if any("\ud800" <= character <= "\udfff" for character in prompt):
        raise InvalidArgumentError(
            "The prompt is not valid Unicode text.", hint="Send it again without broken characters."
        )
    return prompt
