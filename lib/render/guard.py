"""Nothing remote on a page: no style, font, image or frame from elsewhere, and no script but the project's own."""

import re

REMOTE = re.compile(
    r"""(<(?:script|img|iframe|source|audio|video|embed|object)[^>]*\s(?:src|data)\s*=\s*["']?\s*(?:https?:)?//)"""
    r"""|(<link\b)|(@import\b)|(url\(\s*["']?\s*(?!data:|\#|["']?data:)[^)]*\))|(<script(?![^>]*application/json))""",
    re.I,
)


def check_offline(text: str, name: str, own: str = "") -> None:
    """Raise ValueError where a page would fetch something or run a script other than `own`, the project's one script."""
    found = REMOTE.search(text.replace(f"<script>{own}</script>", "", 1) if own else text)
    if found:
        around = text[max(found.start() - 20, 0) : found.end() + 60].replace("\n", " ")
        raise ValueError(f"{name} would load something from outside or run a script: …{around}…")
