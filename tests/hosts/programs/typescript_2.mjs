// The client of the TypeScript SDK 2.x (@modelcontextprotocol/client), in the mode that is named.
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';

const given = JSON.parse(process.argv[2]);
const transport = given.command
  ? new StdioClientTransport({ command: given.command, args: ['stdio'], env: { ...process.env, ...given.env } })
  : new StreamableHTTPClientTransport(new URL(given.url), { requestInit: { headers: given.headers } });
const mode = given.mode === '2026-07-28' ? { pin: given.mode } : given.mode;
const client = new Client({ name: 'typescript-test', version: '2.0.0' }, { versionNegotiation: { mode } });
await client.connect(transport);
const tools = (await client.listTools()).tools.map((tool) => tool.name);
const ask = (more) => client.callTool({ name: 'contit_ask', arguments: more });
const first = await ask({ prompt: given.question });
const second = await ask({ prompt: given.follow_up, thread_id: first.structuredContent.thread_id });
await client.close();
const results = [first, second].map((result) => ({
  content: result.content.map((block) => block.text),
  structured: result.structuredContent,
  isError: result.isError ?? false,
}));
console.log(JSON.stringify({ tools, results }));
