"""Pages of docs/ that are made from the code are the ones that the code makes now."""

import importlib.util
import pkgutil
import re

import pytest

from lib import git, paths

SPEC = importlib.util.spec_from_file_location("make_docs", paths.ROOT / "scripts" / "make_docs.py")
make_docs = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(make_docs)


@pytest.mark.parametrize("name", sorted(make_docs.PAGES))
def test_a_made_page_is_up_to_date(name):
    if "README" in name and git.changed("reports"):
        pytest.skip("reports/ holds pages of another run than the committed one")
    made = make_docs.PAGES[name]()
    assert (paths.ROOT / "docs" / name).read_text(encoding="utf8") == made, "run `python scripts/make_docs.py`"


def test_the_figure_of_the_readme_is_the_one_of_the_published_page():
    if git.changed("reports"):
        pytest.skip("reports/ holds pages of another run than the committed one")
    made = make_docs.headline()
    assert (paths.ROOT / "docs" / "images" / "headline.png").read_bytes() == made, "run `python scripts/make_docs.py`"


def test_the_list_of_dependencies_names_every_line_of_the_lock():
    lines = (paths.ROOT / "requirements.lock").read_text(encoding="utf8").splitlines()
    listed = (paths.ROOT / "docs" / "dependencies.md").read_text(encoding="utf8")
    absent = [x for x in lines if x and x[0] != "#" and "| {} | {} |".format(*x.split("==")) not in listed]
    assert not absent, "run `python scripts/make_dependencies.py`"


PROSE = [*(paths.ROOT / "docs").glob("*.md"), paths.ROOT / "README.md", paths.ROOT / "benchmarks" / "README.md"]


@pytest.mark.parametrize("page", PROSE, ids=lambda p: p.name)
def test_links_between_pages_lead_somewhere(page):
    for target in re.findall(r"\]\((?!https?:)([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf8")):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_the_overview_lists_every_page():
    listed = (paths.ROOT / "docs" / "README.md").read_text(encoding="utf8")
    for page in (paths.ROOT / "docs").glob("*.md"):
        assert page.name == "README.md" or f"({page.name})" in listed, page.name


@pytest.mark.parametrize("name", ["architecture.md", "add-a-study.md"])
def test_every_name_of_lib_in_the_pages_for_developers_is_there(name):
    text = re.sub(r"```.*?```", "", (paths.ROOT / "docs" / name).read_text(encoding="utf8"), flags=re.S)
    named = set(re.findall(r"`(lib\.\w[\w.]*)", text))
    assert len(named) > 3
    for dotted in named:
        pkgutil.resolve_name(dotted)
    for path in set(re.findall(r"`((?:lib|docs|params|notebooks|scripts)/[\w/.-]+)`", text)):
        assert (paths.ROOT / path).exists() or "/toy." in path, path
