"""What the specification wants of a request about tasks: the capability, and the header that names the task."""

from collections.abc import Mapping
from typing import Any

from mcp.server.context import ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp.shared.inbound import MCP_NAME_HEADER, decode_header_value
from mcp_types import (
    HEADER_MISMATCH,
    MISSING_REQUIRED_CLIENT_CAPABILITY,
    ClientCapabilities,
    MissingRequiredClientCapabilityErrorData,
)

IDENTIFIER = "io.modelcontextprotocol/tasks"

VERSIONS = frozenset({"2026-07-28"})
"""The protocol versions in which the extension is defined. In others nothing of it is to be seen."""


def declares_tasks(ctx: ServerRequestContext[Any, Any]) -> bool:
    """Whether this very request comes from a client that understands tasks."""
    capabilities = ctx.session.client_capabilities
    declared = capabilities.extensions if capabilities is not None else None
    return ctx.protocol_version in VERSIONS and declared is not None and IDENTIFIER in declared


def check_declared(ctx: ServerRequestContext[Any, Any]) -> None:
    """Refuse a client that does not declare the extension.

    Raises:
        MCPError: -32021, with what is missing.
    """
    if not declares_tasks(ctx):
        missing = MissingRequiredClientCapabilityErrorData(
            required_capabilities=ClientCapabilities(extensions={IDENTIFIER: {}})
        )
        raise MCPError(
            MISSING_REQUIRED_CLIENT_CAPABILITY,
            f"This needs a client that declares the extension {IDENTIFIER} in protocol {', '.join(sorted(VERSIONS))}.",
            missing.model_dump(by_alias=True, mode="json", exclude_none=True),
        )


def check_task_name(ctx: ServerRequestContext[Any, Any], task_id: str) -> None:
    """Over HTTP, refuse a request whose header Mcp-Name names another task: what has routed by it was misled.

    One without the header passes. Its client must send it, yet none is misled, and fastmcp-tasks 4.1.2 does not.

    Raises:
        MCPError: -32020.
    """
    headers: Mapping[str, str] = getattr(ctx.request, "headers", None) or {}
    named = headers.get(MCP_NAME_HEADER)
    if named is not None and decode_header_value(named) != task_id:
        raise MCPError(HEADER_MISMATCH, "The header Mcp-Name does not match the request's taskId.")
