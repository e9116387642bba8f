"""The Python SDK's own OAuth client, and the person who logs in for it."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

import anyio
import httpx2
from mcp.client import Client
from mcp.client.auth import OAuthClientProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import AuthorizationCodeResult, OAuthClientInformationFull, OAuthClientMetadata, OAuthToken
from pydantic import AnyUrl

from tests.signin.login import log_in
from tests.signin.stage import QUESTION

Ask = Callable[..., Awaitable[str]]  # asks a question and returns the answer
CALLBACK = "http://127.0.0.1:7777/callback"  # nothing listens there; the person reads the code off the address


@dataclass
class Person:
    """A user with a host: the host's storage of tokens, and the logins of the user."""

    client_metadata_url: str | None = None  # the URL of the client's metadata document; without one it registers
    tokens: OAuthToken | None = None
    client: OAuthClientInformationFull | None = None
    logins: list[str] = field(default_factory=list)  # the scopes that were requested, for each login
    _back: str = ""

    async def get_tokens(self) -> OAuthToken | None:
        return self.tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        self.tokens = tokens

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        return self.client

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        self.client = client_info

    async def visit(self, url: str) -> None:
        self.logins.append(parse_qs(urlsplit(url).query).get("scope", [""])[0])
        self._back = await anyio.to_thread.run_sync(log_in, url)

    async def come_back(self) -> AuthorizationCodeResult:
        found = {name: values[0] for name, values in parse_qs(urlsplit(self._back).query).items()}
        assert "code" in found, self._back
        return AuthorizationCodeResult(code=found["code"], state=found.get("state"), iss=found.get("iss"))

    @asynccontextmanager
    async def session(self, url: str) -> AsyncIterator[Ask]:
        """Connect to a URL and yield a function that asks there. The SDK signs in when it has to."""
        metadata = OAuthClientMetadata(client_name="test-host", redirect_uris=[AnyUrl(CALLBACK)])
        auth = OAuthClientProvider(
            url, metadata, self, self.visit, self.come_back, client_metadata_url=self.client_metadata_url
        )
        http = httpx2.AsyncClient(auth=auth, timeout=30, trust_env=False)
        async with http, Client(streamable_http_client(url, http_client=http)) as client:

            async def ask(prompt: str = QUESTION) -> str:
                result = await client.call_tool("contit_ask", {"prompt": prompt})
                assert not result.is_error, result
                structure: dict[str, Any] = result.structured_content or {}
                assert structure["status"] == "completed"
                return str(structure["response"])

            yield ask
