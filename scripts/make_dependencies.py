"""Write docs/dependencies.md: what is installed from requirements.lock, and under which licence: `python scripts/make_dependencies.py`."""

import sys
from importlib import metadata
from pathlib import Path

from lib import paths
from lib.files import write_text

TARGET = paths.ROOT / "docs" / "dependencies.md"
HEAD = """<!-- made by scripts/make_dependencies.py: edit the script, not this file -->
# Dependencies

{count} packages, in exactly these versions (requirements.lock). Licences are as each package's own metadata states them.

| package | version | licence | home |
|---|---|---|---|
"""
TAIL = """
## Licences by number

{licences}

## Known vulnerabilities

The list of advisories is kept online (PyPI's and OSV's databases) and is no part of this repository, so the look-up has to be run
where they can be reached; nothing here claims that it was. With the network:

    pip install pip-audit
    pip-audit -r requirements.lock --no-deps --disable-pip          # PyPI's advisories
    pip-audit -r requirements.lock --no-deps --disable-pip -s osv   # OSV's

A finding is mended by raising the version in pyproject.toml, `make lock`, `python scripts/make_dependencies.py` and `make test`.

## What the project adds to the risk, and what it does about it

- No file of a user is ever unpickled: checkpoints are read with `weights_only=True`, HDF5 tables with h5py alone (pandas would unpickle
  attributes), arrays with `allow_pickle=False`, YAML without tags and aliases. tests/test_project.py searches every file of the
  project for calls that could run what a file holds; tests/test_security.py loads hostile ones.
- Pages fetch nothing, and a content security policy allows one script, the project's own, by its hash.
- No server is opened, no credential is read, nothing is downloaded at run time.
"""


def licence(name: str) -> str:
    """Return a package's licence in one short line: as stated, else as classified, else the head of its licence file."""
    of = metadata.metadata(name)
    if of["License-Expression"]:
        return of["License-Expression"]
    classified = [
        c.split(" :: ")[-1] for c in of.get_all("Classifier") or [] if c.startswith("License ::") and " :: " in c[10:]
    ]
    stated = (of["License"] or "").strip().splitlines()
    short = stated[0] if stated and len(stated[0]) <= 40 else ""
    return " / ".join(c for c in classified if c != "OSI Approved") or short or _first_line(name) or "not stated"


def _first_line(name: str) -> str:
    files = [f for f in metadata.files(name) or [] if "license" in f.name.lower() or "copying" in f.name.lower()]
    lines = [line.strip(" #*=") for line in files[0].read_text(encoding="utf8").splitlines()] if files else []
    return next((line for line in lines if line), "")[:60]


def home(of: metadata.PackageMetadata) -> str:
    """Return a package's home page or repository."""
    urls = dict(line.split(", ", 1) for line in of.get_all("Project-URL") or [])
    named = {name.lower(): url for name, url in urls.items()}
    return of["Home-page"] or next((named[k] for k in ("homepage", "home", "repository", "source", "github") if k in named), "")


def locked() -> list[tuple[str, str]]:
    """Return (name, version) of every line of requirements.lock."""
    lines = (paths.ROOT / "requirements.lock").read_text(encoding="utf8").splitlines()
    return [tuple(line.split("==")) for line in lines if line and not line.startswith("#")]


def page() -> str:
    """Return the page; ValueError where an installed version is not the locked one."""
    rows, count = [], {}
    for name, version in locked():
        of = metadata.metadata(name)
        if of["Version"].split("+")[0] != version:
            raise ValueError(
                f"{name} is installed in version {of['Version']}, but the lock says {version}: install the lock first."
            )
        rows.append(f"| {name} | {version} | {licence(name)} | {home(of)} |")
        count[licence(name)] = count.get(licence(name), 0) + 1
    ordered = sorted(count.items(), key=lambda item: (-item[1], item[0]))
    licences = "\n".join(f"- {n} x {name}" for name, n in ordered)
    return HEAD.format(count=len(rows)) + "\n".join(rows) + "\n" + TAIL.format(licences=licences)


def main(target: Path = TARGET) -> int:
    """Write the page; a problem is one sentence and exit code 1."""
    try:
        write_text(target, page())
    except (ValueError, metadata.PackageNotFoundError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
