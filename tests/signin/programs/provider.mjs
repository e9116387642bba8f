// oidc-provider on a loopback port. Prints its issuer as one line of JSON, and takes orders below /control.
import { createServer } from 'node:http';
import Provider, { errors } from 'oidc-provider';

const given = JSON.parse(process.argv[2]);
const seen = []; // what it was asked, as "METHOD /path status"
const kept = new Map();
let { keys, only, accessSeconds = 300, scopes = 'contit:ask contit:read' } = given;
let issuer;
let handle;

class Memory {
  constructor(model) {
    this.key = (id) => `${model}:${id}`;
  }
  async find(id) {
    return kept.get(this.key(id));
  }
  async findByUid(uid) {
    return [...kept.values()].find((payload) => payload.kind === 'Session' && payload.uid === uid);
  }
  async upsert(id, payload) {
    kept.set(this.key(id), payload);
  }
  async consume(id) {
    kept.get(this.key(id)).consumed = Math.floor(Date.now() / 1000);
  }
  async destroy(id) {
    kept.delete(this.key(id));
  }
  async revokeByGrantId(grantId) {
    for (const [key, payload] of kept) if (payload.grantId === grantId) kept.delete(key);
  }
}

// With other keys it starts anew, and its clients, grants and refresh tokens stay.
function start() {
  const provider = new Provider(issuer, {
    adapter: Memory,
    clientBasedCORS: () => true,
    cookies: { keys: ['made-up'] },
    features: {
      clientIdMetadataDocument: { enabled: given.documents ?? true, ack: 'draft-02' },
      devInteractions: { enabled: true },
      registration: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => undefined,
        useGrantedResource: async () => true,
        getResourceServerInfo: async (ctx, resource) => {
          if (resource !== given.resource) throw new errors.InvalidTarget();
          const jwt = { sign: { alg: 'RS256' } };
          return { scope: scopes, audience: resource, accessTokenTTL: accessSeconds, accessTokenFormat: 'jwt', jwt };
        },
      },
      revocation: { enabled: true },
    },
    // Its guard refuses loopback addresses, at which the tests serve the metadata documents of clients.
    fetch: (url, { dispatcher, ...options }) => fetch(url, options),
    findAccount: (ctx, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
    issueRefreshToken: async (ctx, client) => client.grantTypeAllowed('refresh_token'),
    jwks: { keys },
    pkce: { required: () => true },
    scopes: ['openid', 'offline_access', 'contit:ask', 'contit:read'],
  });
  handle = provider.callback();
}

async function body(request) {
  let text = '';
  for await (const chunk of request) text += chunk;
  return text ? JSON.parse(text) : {};
}

async function control(request, response) {
  const order = await body(request);
  ({ keys, only, accessSeconds, scopes } = { keys, only, accessSeconds, scopes, ...order });
  if (order.keys) start();
  response.end(JSON.stringify(seen));
}

const server = createServer(async (request, response) => {
  const path = given.path ?? '';
  const asked = new URL(request.url, issuer).pathname;
  if (asked === '/control') return control(request, response);
  response.on('finish', () => seen.push(`${request.method} ${asked} ${response.statusCode}`));
  if (asked.includes('/.well-known/')) {
    // A page of any origin may read it; only the form that a test wants is there.
    const found = asked.match(/\.well-known\/(openid-configuration|oauth-authorization-server)/);
    if (!found || (only && asked !== only)) return response.writeHead(404).end();
    request.url = `/.well-known/${found[1]}`;
  } else if (path && !asked.startsWith(`${path}/`)) {
    return response.writeHead(404).end();
  } else {
    request.url = request.url.slice(path.length);
  }
  if (request.url === '/reg') {
    // oidc-provider leaves CORS out where there is no client yet.
    response.setHeader('Access-Control-Allow-Origin', request.headers.origin ?? '*');
    response.setHeader('Access-Control-Allow-Headers', 'content-type, mcp-protocol-version');
    if (request.method === 'OPTIONS') return response.writeHead(204).end();
  }
  request.originalUrl = path + request.url;
  request.baseUrl = path;
  handle(request, response);
});

server.listen(0, '127.0.0.1', () => {
  issuer = `http://127.0.0.1:${server.address().port}${given.path ?? ''}`;
  start();
  console.log(JSON.stringify({ issuer }));
});
