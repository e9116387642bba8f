// What the clients of both TypeScript SDKs do, as jobs.py has it for those in Python.
export const given = JSON.parse(process.argv[2]);

async function ask(client) {
  const tools = (await client.listTools()).tools.map((tool) => tool.name);
  const call = (more) => client.callTool({ name: 'contit_ask', arguments: more });
  const first = await call({ prompt: given.question });
  const second = await call({ prompt: given.follow_up, thread_id: first.structuredContent.thread_id });
  const results = [first, second].map((result) => ({
    content: result.content.map((block) => block.text),
    structured: result.structuredContent,
    isError: result.isError ?? false,
  }));
  return { tools, results };
}

async function usePromptsAndResources(client) {
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
  const names = prompts.map((each) => each.name);
  const text = prompt.messages[0].content.text;
  const uris = resources.map((each) => each.uri);
  return { prompts: names, completed, prompt: text, asked, resources: uris, templates, threads, read };
}

export async function work(client, StdioClientTransport, StreamableHTTPClientTransport) {
  const transport = given.command
    ? new StdioClientTransport({ command: given.command, args: ['stdio'], env: { ...process.env, ...given.env } })
    : new StreamableHTTPClientTransport(new URL(given.url), { requestInit: { headers: given.headers } });
  await client.connect(transport);
  const found = await (given.job === 'more' ? usePromptsAndResources : ask)(client);
  await client.close();
  console.log(JSON.stringify(found));
}
