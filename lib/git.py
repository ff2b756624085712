"""What git knows of this copy of the project."""

import re
import subprocess

from lib import paths


def git_state() -> tuple[str, bool]:
    """Return the commit and whether lib, notebooks or params differ from it; ("unknown", True) outside a repository."""
    try:
        commit = _git("rev-parse", "HEAD")
        return commit, changed("lib", "notebooks", "params")
    except (OSError, subprocess.CalledProcessError):
        return "unknown", True


def changed(*folders: str) -> bool:
    """Tell whether folders of the repository differ from the commit."""
    return bool(_git("status", "--porcelain", "--", *folders))


def in_history(commit: str) -> bool:
    """Tell whether `commit` is HEAD or came before it."""
    if not re.fullmatch(r"[0-9a-f]{40}", commit):
        return False
    words = ["git", "merge-base", "--is-ancestor", commit, "HEAD"]
    try:
        return subprocess.run(words, cwd=paths.ROOT, capture_output=True, check=False).returncode == 0
    except OSError:  # no git here
        return False


def tracked(folder: str) -> list[str]:
    """Return the paths, from the root, of what git tracks in a folder; nothing outside a repository."""
    try:
        return _git("ls-files", "-z", "--", folder).strip("\0").split("\0")
    except (OSError, subprocess.CalledProcessError):
        return []


def _git(*words: str) -> str:
    done = subprocess.run(["git", *words], cwd=paths.ROOT, capture_output=True, text=True, check=True)
    return done.stdout.strip()
