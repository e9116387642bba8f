"""An agent of LlamaIndex."""

import asyncio

from given import CHILD, MODEL, PLACE
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.llms.openai_like import OpenAILike
from llama_index.tools.mcp import BasicMCPClient, McpToolSpec


async def main() -> None:
    if CHILD["command"]:
        client = BasicMCPClient(CHILD["command"], args=CHILD["args"], env=CHILD["env"])
    else:
        client = BasicMCPClient(PLACE["url"], headers=PLACE["headers"])
    tools = await McpToolSpec(client=client).to_tool_list_async()
    way = {"api_base": MODEL["base_url"], "api_key": MODEL["api_key"]}
    model = OpenAILike(model="stand-in", **way, is_chat_model=True, is_function_calling_model=True)
    await FunctionAgent(tools=tools, llm=model).run(user_msg="go")


asyncio.run(main())
