// The client of the TypeScript SDK 2.x: prompts with their completion, and resources.
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';

const given = JSON.parse(process.argv[2]);
const transport = given.command
  ? new StdioClientTransport({ command: given.command, args: ['stdio'], env: { ...process.env, ...given.env } })
  : new StreamableHTTPClientTransport(new URL(given.url), { requestInit: { headers: given.headers } });
const mode = given.mode === '2026-07-28' ? { pin: given.mode } : given.mode;
const client = new Client({ name: 'typescript-test', version: '2.0.0' }, { versionNegotiation: { mode } });
await client.connect(transport);
const { prompts } = await client.listPrompts();
const complete = async (ref, name, value) => (await client.complete({ ref, argument: { name, value } })).completion.values;
const completed = await complete({ type: 'ref/prompt', name: 'drafts_waiting' }, 'language', 'i');
const prompt = await client.getPrompt({ name: 'drafts_waiting', arguments: { language: completed[0] } });
const asked = (await client.callTool({ name: 'contit_ask', arguments: { prompt: given.question } })).structuredContent;
const { resources } = await client.listResources();
const templates = (await client.listResourceTemplates()).resourceTemplates.map((each) => each.uriTemplate);
const threads = await complete({ type: 'ref/resource', uri: templates[0] }, 'thread_id', asked.thread_id.slice(0, 9));
const read = [];
for (const uri of ['contit://guide', 'contit://runs', `contit://runs/${asked.thread_id}/${asked.run_id}`]) {
  read.push((await client.readResource({ uri })).contents[0].text);
}
await client.close();
const names = prompts.map((each) => each.name);
const text = prompt.messages[0].content.text;
const uris = resources.map((each) => each.uri);
console.log(JSON.stringify({ prompts: names, completed, prompt: text, asked, resources: uris, templates, threads, read }));
