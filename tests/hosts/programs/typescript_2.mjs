// The client of the TypeScript SDK 2.x (@modelcontextprotocol/client), in the mode that is named.
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import { given, work } from './jobs.mjs';

const mode = given.mode === '2026-07-28' ? { pin: given.mode } : given.mode;
const client = new Client({ name: 'typescript-test', version: '2.0.0' }, { versionNegotiation: { mode } });
await work(client, StdioClientTransport, StreamableHTTPClientTransport);
