"""The answer card as one file: `make card-page` builds it from contit_mcp/server/card_page/.

esbuild joins and shrinks the scripts and styles; release/npm pins it and the lexer that goes in. The built file is
committed, so that an installation needs no Node. With --check, fail if it is stale; without npm, say that and pass.
"""

import json
import shutil
import subprocess
import sys

from release.project import ROOT, ReleaseError

PAGE = ROOT / "contit_mcp" / "server" / "card_page"
BUILT = PAGE / "answer-card.html"
NPM = ROOT / "release" / "npm"
MOST_BYTES = 100_000
"""What docs/card.md promises."""


def build() -> str:
    """Return the card, made from its sources.

    Raises:
        ReleaseError: It cannot be built, or it is too large.
    """
    script = _esbuild("card.js", "--bundle", "--format=esm")
    style = _esbuild("card.css")
    if "<script" in script or "</" in style:
        raise ReleaseError("The card's script or style holds a tag that ends or nests it in HTML.")
    page = (PAGE / "card.html").read_text(encoding="utf-8")
    for name, text in (("licence", _licence()), ("style", style), ("script", script)):
        page = page.replace("{{" + name + "}}", text)
    if len(page.encode()) >= MOST_BYTES:
        raise ReleaseError(f"The card has {len(page.encode()):,} bytes; it must have fewer than {MOST_BYTES:,}.")
    return page


def _esbuild(source: str, *options: str) -> str:
    modules = NPM / "node_modules"
    command = [
        str(modules / ".bin" / "esbuild"),
        str(PAGE / source),
        "--minify",
        "--target=es2022,chrome123,safari17.5,firefox121",
    ]
    done = subprocess.run(
        [*command, "--legal-comments=none", *options],
        check=False,
        capture_output=True,
        text=True,
        env={"NODE_PATH": str(modules)},
    )
    if done.returncode:
        raise ReleaseError(f"esbuild could not build {source}:\n{done.stderr}")
    return done.stdout.strip()


def _licence() -> str:
    package = NPM / "node_modules" / "marked"
    version = json.loads((package / "package.json").read_text(encoding="utf-8"))["version"]
    text = (package / "LICENSE").read_text(encoding="utf-8")
    terms = text[text.index("## Marked") :].strip()
    return f"Contains the lexer of marked {version}.\n\n{terms}\n"


def main(arguments: list[str]) -> str | None:
    """Build the card, or check it; return what is wrong."""
    if "--check" in arguments and shutil.which("npm") is None:
        sys.stderr.write("answer-card.html is not checked: that needs Node and npm.\n")
        return None
    try:
        page = build()
    except ReleaseError as exc:
        return f"error: {exc}"
    if "--check" not in arguments:
        BUILT.write_text(page, encoding="utf-8")
        sys.stderr.write(f"{BUILT.relative_to(ROOT)}: {len(page.encode()):,} bytes\n")
    elif not BUILT.exists() or BUILT.read_text(encoding="utf-8") != page:
        return f"error: {BUILT.relative_to(ROOT)} is stale\nhint: make card-page"
    return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
