"""The server for clients in the same process, which all take an `MCPServer`: its middleware uses `create_server`."""

import logging
from typing import Any

from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.server.mcpserver import MCPServer
from mcp_types.methods import SPEC_CLIENT_METHODS, serialize_server_result
from pydantic import BaseModel

from contit_mcp.server.context import AppContext
from contit_mcp.server.server import NAME, PRESENTATION, create_server
from contit_mcp.tasks.extension import dumped


class InProcessServer(MCPServer[Any]):
    """The server with its tools, prompts and resources. The context closes when the last client has left."""

    def __init__(self, context: AppContext) -> None:
        self._server = create_server(context)
        middleware = [*self._server.middleware[1:], self._answer]  # the first is the SDK's own, as in `MCPServer`
        handler = logging.NullHandler()
        logging.getLogger().addHandler(handler)  # else the SDK configures the logging of the program
        try:
            super().__init__(
                NAME, **PRESENTATION, lifespan=lambda _: context, subscriptions=False, middleware=middleware
            )
        finally:
            logging.getLogger().removeHandler(handler)

    async def _answer(self, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        entry = self._server.get_request_handler(ctx.method)
        if entry is None or ctx.method == "server/discover":
            result = await call_next(ctx)
            if isinstance(result, dict) and "capabilities" in result:
                extensions = None if ctx.method == "initialize" else self._server.extensions  # that era has none
                can = self._server.get_capabilities(protocol_version=ctx.protocol_version, extensions=extensions)
                result["capabilities"] = dumped(can)
            return result
        made = await entry.handler(ctx, entry.params_type.model_validate(ctx.params or {}, by_name=False))
        result = dumped(made) if isinstance(made, BaseModel) else dict(made or {})
        if ctx.method in SPEC_CLIENT_METHODS and result.get("resultType") != "task":
            return serialize_server_result(ctx.method, ctx.protocol_version, result)
        return {"resultType": "complete", **result}
