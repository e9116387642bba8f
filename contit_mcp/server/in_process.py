"""The server as an `MCPServer`, which clients in the same process expect. `create_server`'s handlers do the work."""

import logging
from typing import Any

from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.server.mcpserver import MCPServer
from mcp_types.methods import SPEC_CLIENT_METHODS, serialize_server_result
from pydantic import BaseModel

from contit_mcp.server.call import NAME
from contit_mcp.server.context import AppContext
from contit_mcp.server.server import PRESENTATION, create_server
from contit_mcp.tasks.extension import dumped


class InProcessServer(MCPServer[Any]):
    """The server with its tools, prompts and resources. The context closes when the last client has left."""

    def __init__(self, context: AppContext) -> None:
        self._server = create_server(context)
        middleware = [*self._server.middleware[1:], self._dispatch]  # the first is the SDK's, which `MCPServer` has too
        handler = logging.NullHandler()
        logging.getLogger().addHandler(handler)  # without a handler the SDK configures the program's logging
        try:
            super().__init__(
                NAME, **PRESENTATION, lifespan=lambda _: context, subscriptions=False, middleware=middleware
            )
        finally:
            logging.getLogger().removeHandler(handler)

    async def _dispatch(self, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        """Use our handlers; for other methods and discovery the SDK's, with our capabilities in the result."""
        entry = self._server.get_request_handler(ctx.method)
        if entry is None or ctx.method == "server/discover":
            result = await call_next(ctx)
            if isinstance(result, dict) and "capabilities" in result:
                extensions = None if ctx.method == "initialize" else self._server.extensions  # from 2026-07-28 on
                can = self._server.get_capabilities(protocol_version=ctx.protocol_version, extensions=extensions)
                result["capabilities"] = dumped(can)
            return result
        made = await entry.handler(ctx, entry.params_type.model_validate(ctx.params or {}, by_name=False))
        result = dumped(made) if isinstance(made, BaseModel) else dict(made or {})
        if ctx.method in SPEC_CLIENT_METHODS and result.get("resultType") != "task":
            return serialize_server_result(ctx.method, ctx.protocol_version, result)
        return {"resultType": "complete", **result}
