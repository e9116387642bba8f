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


def name_owner(principal: str, base_url: str) -> str:
    """The owner for a caller that the server knows by name; readable in logs as far as names are.

    Args:
        principal: A token's name, or the subject of a JWT.
        base_url: Another workspace is another owner.
    """
    place = hashlib.sha256(base_url.encode()).hexdigest()[:8]
    plain = len(principal) <= _LONGEST_NAME and all(c.isascii() and c.isprintable() and c != "~" for c in principal)
    name = principal if plain else f"~{hashlib.sha256(principal.encode()).hexdigest()[:32]}"
    return f"{name}@{place}"


_LONGEST_NAME = 80
