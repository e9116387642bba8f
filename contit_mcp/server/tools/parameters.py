"""The parameters that tools share. No unions in the schemas: several hosts refuse them."""

from typing import Annotated

from pydantic import Field
from pydantic.json_schema import SkipJsonSchema

Prompt = Annotated[
    str,
    Field(
        description="The question, in any language, with all that is needed to answer it. At most 32,000 characters."
    ),
]

ThreadId = Annotated[str, Field(description="thread_id of the run, exactly as returned.")]

RunId = Annotated[str, Field(description="run_id of the run, exactly as returned.")]

OptionalRunId = Annotated[
    str | SkipJsonSchema[None], Field(description="The run whose answer to return. Without it: the thread's latest.")
]

FollowUpThreadId = Annotated[
    str | SkipJsonSchema[None],
    Field(description="thread_id of an earlier answer, to ask a follow-up. Without it a new conversation begins."),
]

WaitSeconds = Annotated[
    float | SkipJsonSchema[None],
    Field(allow_inf_nan=False, description="Longest wait in seconds; leave it out: the default fits this host."),
]

StatusWaitSeconds = Annotated[
    float | SkipJsonSchema[None],
    Field(allow_inf_nan=False, description="Longest wait for the end, in seconds. Default 0: answer at once."),
]
