// From a bare URL to answers with the OAuth client of the TypeScript SDK that is named. Prints a line of JSON for each
// question, and waits for a line of input before the next.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { Host, ask } from './host.mjs';

const given = JSON.parse(process.argv[2]);
const old = given.sdk === '1';
const { Client, StreamableHTTPClientTransport, UnauthorizedError } = old
  ? {
      ...(await import('@modelcontextprotocol/sdk/client/index.js')),
      ...(await import('@modelcontextprotocol/sdk/client/streamableHttp.js')),
      ...(await import('@modelcontextprotocol/sdk/client/auth.js')),
    }
  : await import('@modelcontextprotocol/client');

const callback = createServer();
callback.listen(0, '127.0.0.1');
await once(callback, 'listening');
const redirectUrl = `http://127.0.0.1:${callback.address().port}/callback`;
const kept = new Map();
const host = new Host(
  redirectUrl,
  { getItem: (name) => kept.get(name), setItem: (name, value) => kept.set(name, value) },
  (url) => spawn(given.browser[0], [...given.browser.slice(1), url], { stdio: ['ignore', 2, 2] }),
);

async function connect() {
  const transport = new StreamableHTTPClientTransport(new URL(given.url), { authProvider: host });
  const client = new Client({ name: 'typescript-test', version: '1' });
  try {
    await client.connect(transport);
    return client;
  } catch (error) {
    if (!(error instanceof UnauthorizedError) || host.logins > 1) throw error;
  }
  const [request, response] = await once(callback, 'request');
  response.end();
  const found = new URL(request.url, redirectUrl).searchParams;
  await transport.finishAuth(old ? found.get('code') : found);
  return connect();
}

const client = await connect();
for (const question of given.questions) {
  const answer = await ask(client, question);
  console.log(JSON.stringify({ answer, logins: host.logins, granted: host.tokens().scope }));
  await once(process.stdin, 'data');
}
await client.close();
process.exit(0);
