"""Lists the tools at an MCP server and calls one of them: python mcp_client.py URL TOOL ARGUMENTS."""

import asyncio
import json
import sys

from mcp import Client


async def main(url: str, tool: str, arguments: dict) -> None:
    async with Client(url) as client:
        tools = await client.list_tools()
        result = await client.call_tool(tool, arguments)
        print(
            json.dumps(
                {
                    "protocol": client.protocol_version,
                    "tools": [tool.name for tool in tools.tools],
                    "is_error": bool(result.is_error),
                    "structured": result.structured_content,
                }
            )
        )


asyncio.run(main(sys.argv[1], sys.argv[2], json.loads(sys.argv[3])))
