"""`make lab` in a real browser: every notebook runs from top to bottom, its viewer moves, and saving keeps the pair in step."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import nbformat
import psutil
import pytest

from lib import paths

playwright = pytest.importorskip("playwright.sync_api", reason="the extra `browser` is not installed")
pytest.importorskip("ipywidgets", reason="the extra `explore` is not installed")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
SHOTS = paths.BUILD / "screenshots"
CARRIED = ("Makefile", "jupytext.toml", "requirements.lock", "pyproject.toml", "lib", "notebooks", "params")
STATE = ".jp-NotebookPanel-toolbar .jp-Notebook-ExecutionIndicator"
MINUTE = 60  # of computing, for one notebook at its default parameters
pytestmark = [
    pytest.mark.slow,
    pytest.mark.browser,
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed: apt-get install chromium"),
]


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def reachable(url):
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.status == 200
    except OSError:
        return False


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A copy of the project, so that saving and running touch nothing here."""
    folder = tmp_path_factory.mktemp("lab") / "project"
    folder.mkdir()
    for name in CARRIED:
        source = paths.ROOT / name
        ignore = shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints")
        shutil.copytree(source, folder / name, ignore=ignore) if source.is_dir() else shutil.copy2(source, folder / name)
    return folder


@pytest.fixture(scope="module")
def server(project):
    """`make lab` as the Makefile has it, without a token and on a port of its own."""
    home, port = project.parent / "jupyter", free_port()
    home.mkdir()
    settings = {"open_browser": False, "port": port, "port_retries": 0, "allow_root": True}
    content = {"ServerApp": settings, "IdentityProvider": {"token": ""}}
    (home / "jupyter_server_config.json").write_text(json.dumps(content))
    places = {f"JUPYTER_{kind}_DIR": str(home / kind.lower()) for kind in ("DATA", "RUNTIME")}
    known = {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(project)}
    environment = os.environ | places | known | {"JUPYTER_CONFIG_DIR": str(home)}
    with (home / "log.txt").open("w") as log:
        started = subprocess.Popen(
            ["make", "lab", "VENV="], cwd=project, env=environment, stdout=log, stderr=log, start_new_session=True
        )
        url = f"http://127.0.0.1:{port}/lab"
        deadline = time.monotonic() + 120
        while not reachable(url):
            assert started.poll() is None and time.monotonic() < deadline, (home / "log.txt").read_text()  # noqa: PT018
            time.sleep(0.5)
        yield url, psutil.Process(started.pid)
        os.killpg(started.pid, signal.SIGTERM)
        started.wait(30)


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield opened
        opened.close()


@pytest.fixture
def tab(browser):
    context = browser.new_context(viewport={"width": 1300, "height": 1100})
    made = context.new_page()
    made.set_default_timeout(60_000)
    yield made
    context.close()


def open_in_lab(tab, url, study):
    """Open a notebook and wait for the last greeting between the page and its kernel: what is run before that is lost."""
    with tab.expect_event("websocket", lambda socket: "/channels" in socket.url) as opened:
        tab.goto(f"{url}/tree/notebooks/{study}.ipynb?reset")
    opened.value.wait_for_event("framereceived", lambda frame: b"comm_info_reply" in bytes(frame))
    tab.wait_for_selector(f"{STATE}[data-status='idle']")


def run_all(tab):
    tab.click(".lm-MenuBar-itemLabel:text-is('Run')")
    tab.click(".lm-Menu-itemLabel:text-is('Run All Cells')")
    tab.wait_for_selector(f"{STATE}[data-status='busy']")
    tab.wait_for_selector(f"{STATE}[data-status='idle']", timeout=540_000)


def save(tab, target):
    written = target.stat().st_mtime_ns
    tab.keyboard.press("Control+s")
    tab.wait_for_selector(".jp-mod-current.lm-TabBar-tab:not(.jp-mod-dirty)")
    for _ in range(100):
        if target.stat().st_mtime_ns != written:
            return
        tab.wait_for_timeout(100)
    pytest.fail(f"{target.name} was not saved")


def computing(server):
    """Seconds of processor time that the kernels took so far: a busy machine does not change them."""
    kernels = [p for p in server.children(recursive=True) if "ipykernel_launcher" in p.cmdline()]
    return sum(p.cpu_times().user + p.cpu_times().system for p in kernels)


def move(tab):
    """Give the last viewer's first control that has a choice another value; return the picture before and after."""
    viewer = tab.locator(".jp-OutputArea .widget-vbox").last
    picture = viewer.locator(".widget-output img")
    before = picture.get_attribute("src")
    several = [c for c in viewer.locator(".widget-dropdown select").all() if c.locator("option").count() > 1]
    if several:
        several[0].select_option(index=1)
    else:
        viewer.locator("[role=slider]").first.press("ArrowRight")
    images = "[...document.querySelectorAll('.widget-output img')].map(i => i.src)"
    tab.wait_for_function(f"old => {images}.length > 0 && !{images}.includes(old)", arg=before)
    return before, picture.get_attribute("src")


def failures(notebook):
    return [o.evalue for c in notebook.cells for o in c.get("outputs", []) if o.output_type == "error"]


def not_run(notebook):
    return [c.source for c in notebook.cells if c.cell_type == "code" and c.execution_count is None]


def make_ready(project, study):
    """Run the study whose weights this one reads, where it has not run in the copy."""
    needed = {"mlp_head": "latent_extraction"}.get(study)
    if needed and not (project / "build" / "smoke" / needed / "model").is_dir():
        words = [sys.executable, "-m", "lib.execute", needed, "--profile", "smoke"]
        subprocess.run(words, cwd=project, env=os.environ | {"PYTHONPATH": str(project)}, check=True, capture_output=True)


def in_step(project):
    words = [sys.executable, "-m", "lib.pairs", "check"]
    checked = subprocess.run(words, cwd=project, env=os.environ | {"PYTHONPATH": str(project)}, capture_output=True, text=True)
    return checked.returncode, checked.stderr


@pytest.mark.parametrize("study", paths.STUDIES)
def test_a_notebook_runs_in_jupyterlab_moves_its_viewer_and_keeps_its_pair_in_step(study, project, server, tab, capsys):
    url, process = server
    make_ready(project, study)
    source, target = (project / "notebooks" / f"{study}{suffix}" for suffix in (".py", ".ipynb"))
    text = source.read_bytes()
    open_in_lab(tab, url, study)
    used, began = computing(process), time.monotonic()
    run_all(tab)
    spent, waited = computing(process) - used, time.monotonic() - began
    with capsys.disabled():
        sys.stdout.write(f"\n{study}: {spent:.0f} s of computing, {waited:.0f} s by the clock\n")
    SHOTS.mkdir(parents=True, exist_ok=True)
    tab.screenshot(path=SHOTS / f"lab-{study}.png")
    assert len(set(move(tab))) == 2
    save(tab, target)
    saved = nbformat.read(target, as_version=4)
    assert failures(saved) == []
    assert not_run(saved) == []
    assert spent < MINUTE
    assert source.read_bytes() == text
    assert in_step(project) == (0, "")
