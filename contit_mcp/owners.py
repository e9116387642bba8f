"""Who asks: the name under which runs are remembered, which tells nothing of the credential."""

import hashlib
import hmac


def fingerprint_owner(identity: str, base_url: str, *, key: bytes = b"contit-mcp") -> str:
    """The owner for whoever asks with `identity` at `base_url` (design.md, section 3).

    Args:
        identity: The credential, or the client id for OAuth2.
        base_url: Another workspace behind the same credential is another owner.
        key: The seal key where one is configured, so that fingerprints cannot be tried out elsewhere.
    """
    message = f"{base_url}\n{identity}".encode()
    return hmac.new(key, message, hashlib.sha256).hexdigest()[:24]
