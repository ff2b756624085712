"""Pages of docs/ that are made from the code are the ones that the code makes now."""

import importlib.util

import pytest

from lib import paths

SPEC = importlib.util.spec_from_file_location("make_docs", paths.ROOT / "scripts" / "make_docs.py")
make_docs = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(make_docs)


@pytest.mark.parametrize("name", sorted(make_docs.PAGES))
def test_a_made_page_is_up_to_date(name):
    made = make_docs.PAGES[name]()
    assert (paths.ROOT / "docs" / name).read_text(encoding="utf8") == made, "run `python scripts/make_docs.py`"


def test_the_list_of_dependencies_names_every_line_of_the_lock():
    lines = (paths.ROOT / "requirements.lock").read_text(encoding="utf8").splitlines()
    listed = (paths.ROOT / "docs" / "dependencies.md").read_text(encoding="utf8")
    absent = [x for x in lines if x and x[0] != "#" and "| {} | {} |".format(*x.split("==")) not in listed]
    assert not absent, "run `python scripts/make_dependencies.py`"
