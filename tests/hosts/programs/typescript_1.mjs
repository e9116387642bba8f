// The client of the TypeScript SDK 1.x (@modelcontextprotocol/sdk).
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { work } from './jobs.mjs';

const client = new Client({ name: 'typescript-test', version: '1.0.0' });
await work(client, StdioClientTransport, StreamableHTTPClientTransport);
