"""Nothing foreign on a page: nothing is fetched from elsewhere, and no script runs but the project's own."""

import base64
import hashlib
import re
from html.parser import HTMLParser

from lib.files import sha256

BANNED = {
    "iframe", "frame", "frameset", "object", "embed", "applet", "base", "link", "form", "audio", "video", "source", "track", "picture",
    "portal", "svg", "foreignobject",
}  # fmt: skip
FETCHING = {
    "src", "srcset", "data", "poster", "background", "action", "formaction", "ping", "manifest", "cite", "codebase", "longdesc",
    "profile", "usemap", "xlink:href",
}  # fmt: skip
CSS_FETCH = re.compile(r"@import|url\(\s*[\"']?\s*(?!data:|#|[\"']?data:)[^)]*\)|expression\s*\(", re.I)
SEAL = re.compile(r'<meta name="seal" content="[^"]*">')  # in a page's head: the hash of all else on it
LINK = re.compile(r"(https?:|mailto:|#|[^:]*$)", re.I)


class _Guard(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.problem = ""
        self.inside = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag in BANNED or (tag == "script" and given.get("type") != "application/json"):
            self.note(f"<{tag}>")
        if tag == "meta" and given.get("http-equiv", "").lower() not in ("", "content-security-policy"):
            self.note("<meta http-equiv>")
        for name, value in given.items():
            if name.startswith("on") or (name == "style" and CSS_FETCH.search(value)):
                self.note(f"{name}={value}")
            if name in FETCHING and not value.strip().lower().startswith("data:image/"):
                self.note(f"{name}={value}")
            if name == "href" and not LINK.match(value.strip()):
                self.note(f"href={value}")
        self.inside = tag

    def handle_endtag(self, tag: str) -> None:
        self.inside = ""

    def handle_data(self, data: str) -> None:
        if self.inside == "style" and (found := CSS_FETCH.search(data)):
            self.note(found[0])

    def note(self, what: str) -> None:
        self.problem = self.problem or what[:80]


def policy(own: str = "") -> str:
    """Return the page's content security policy: a browser fetches nothing and runs only the script `own`, should all else fail."""
    digest = base64.b64encode(hashlib.sha256(own.encode("utf8")).digest()).decode("ascii")
    script = f"script-src 'sha256-{digest}'; " if own else ""
    return f"default-src 'none'; {script}img-src data:; font-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


def check_offline(text: str, name: str, own: str = "") -> None:
    """Raise ValueError where a page would fetch something, run a script other than `own`, or lead to something that runs."""
    guard = _Guard()
    guard.feed(text.replace(f"<script>{own}</script>", "", 1) if own else text)
    guard.close()
    if guard.problem:
        raise ValueError(f"{name} would load something from outside or run a script: …{guard.problem}…")


def sealed(text: str) -> str:
    """Return a page whose seal is the hash of all else on it."""
    return SEAL.sub(f'<meta name="seal" content="{sha256(SEAL.sub("", text, count=1))}">', text, count=1)


def is_sealed(text: str) -> bool:
    """Tell whether a page has a seal and is as it was when it was sealed."""
    return SEAL.search(text) is not None and sealed(text) == text
