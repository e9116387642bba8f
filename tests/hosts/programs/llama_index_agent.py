"""An agent of LlamaIndex."""

import asyncio

from given import GIVEN
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.llms.openai_like import OpenAILike
from llama_index.tools.mcp import BasicMCPClient, McpToolSpec


async def main() -> None:
    if GIVEN["command"]:
        client = BasicMCPClient(GIVEN["command"], args=["stdio"], env=GIVEN["env"])
    else:
        client = BasicMCPClient(GIVEN["url"], headers=GIVEN["headers"])
    tools = await McpToolSpec(client=client).to_tool_list_async()
    model = OpenAILike(
        model="stand-in",
        api_base=f"{GIVEN['model_url']}/v1",
        api_key="made-up",
        is_chat_model=True,
        is_function_calling_model=True,
    )
    await FunctionAgent(tools=tools, llm=model).run(user_msg="go")


asyncio.run(main())
