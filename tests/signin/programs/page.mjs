// A host that is a web page: it connects to the URL in its address, leaves for the login page, comes back and asks.
import { Client, StreamableHTTPClientTransport, UnauthorizedError } from '@modelcontextprotocol/client';
import { Host, ask } from './host.mjs';

const here = new URL(location.href);
if (here.searchParams.has('server')) sessionStorage.setItem('server', here.searchParams.get('server'));
const server = new URL(sessionStorage.getItem('server'));
const host = new Host(`${here.origin}/`, sessionStorage, (url) => location.assign(url));

async function metadata() {
  const found = await fetch(new URL('/.well-known/oauth-protected-resource/mcp', server));
  return (await found.json()).authorization_servers[0];
}

async function go() {
  const transport = new StreamableHTTPClientTransport(server, { authProvider: host });
  if (here.searchParams.has('code')) await transport.finishAuth(here.searchParams);
  const client = new Client({ name: 'page-test', version: '1' });
  await client.connect(
    here.searchParams.has('code') ? new StreamableHTTPClientTransport(server, { authProvider: host }) : transport,
  );
  return ask(client, 'How many drafts are there?');
}

const outcome = { issuer: await metadata() };
try {
  outcome.answer = await go();
} catch (error) {
  if (error instanceof UnauthorizedError) throw error; // the login page is being opened
  outcome.error = String(error.cause ?? error);
}
document.body.insertAdjacentHTML('beforeend', '<pre id="outcome"></pre>');
document.getElementById('outcome').textContent = JSON.stringify(outcome);
