// What a host implements for the TypeScript SDK's OAuth clients, old and new: it keeps tokens and opens the login page.
export class Host {
  constructor(redirectUrl, kept, navigate) {
    Object.assign(this, { redirectUrl, kept, navigate, logins: 0 });
  }
  get clientMetadata() {
    return {
      client_name: 'test-host',
      redirect_uris: [this.redirectUrl],
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
      token_endpoint_auth_method: 'none',
    };
  }
  read(name) {
    return JSON.parse(this.kept.getItem(name) ?? 'null') ?? undefined;
  }
  write(name, value) {
    this.kept.setItem(name, JSON.stringify(value));
  }
  clientInformation() {
    return this.read('client');
  }
  saveClientInformation(client) {
    this.write('client', client);
  }
  tokens() {
    return this.read('tokens');
  }
  saveTokens(tokens) {
    this.write('tokens', tokens);
  }
  codeVerifier() {
    return this.read('verifier');
  }
  saveCodeVerifier(verifier) {
    this.write('verifier', verifier);
  }
  redirectToAuthorization(url) {
    this.logins += 1;
    this.navigate(url.href);
  }
}

export async function ask(client, prompt) {
  const { isError, structuredContent } = await client.callTool({ name: 'contit_ask', arguments: { prompt } });
  if (isError) throw new Error(JSON.stringify(structuredContent));
  return structuredContent.response;
}
