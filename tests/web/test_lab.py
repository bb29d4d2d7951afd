"""Notebooks in JupyterLab: seen where they are not trusted, and live where they run."""

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from phase_utils.chapters import execution, export

pytestmark = pytest.mark.scheduled
pytest.importorskip("jupyterlab")

CELLS = (
    "import matplotlib.pyplot as plt\nimport phase_utils as pu\npu.plotting.use_style()",
    "axes = pu.plotting.panels()[1]\naxes.plot([0, 1], [0, 1]);",
    "figure = pu.widgets.landscape(gamma=0.1)\nfigure",
    'print("gamma is", figure.widget.gamma)',
)
ADDRESS = r"http://(?:localhost|127\.0\.0\.1):\d+/"
VIEWERS = "@jupyterlab/docmanager-extension/plugin.jupyterlab-settings"


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """The address of a JupyterLab with an executed notebook, and a chapter as text."""
    here = tmp_path_factory.mktemp("lab")
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    cells = [new_markdown_cell("# A notebook"), *map(new_code_cell, CELLS[:3])]
    nb = new_notebook(cells=cells, metadata={"kernelspec": kernel})
    executed, error = execution.execute(nb, {})
    assert not error
    executed = export.untrusted(export.readable(executed))
    executed.cells.append(new_code_cell(CELLS[3]))
    nbformat.write(executed, here / "executed.ipynb")
    chapter = Path(__file__).parents[2] / "notebooks" / "03_depth_zero.md"
    (here / "chapter.md").write_text(chapter.read_text(encoding="utf-8"))
    settings = here / "settings" / VIEWERS
    settings.parent.mkdir(parents=True)
    settings.write_text(json.dumps({"defaultViewers": {"markdown": "Jupytext Notebook"}}))
    env = {**os.environ, "JUPYTERLAB_SETTINGS_DIR": str(here / "settings")}
    env |= {"JUPYTER_DATA_DIR": str(here / "data"), "JUPYTER_CONFIG_DIR": str(here / "config")}
    env.pop(execution.STATIC, None)
    words = ["--no-browser", "--allow-root", "--IdentityProvider.token=", "--ServerApp.port=0"]
    log = here / "log"
    with log.open("w") as file:
        server = subprocess.Popen(
            [sys.executable, "-m", "jupyterlab", *words, f"--notebook-dir={here}"],
            cwd=here,
            env=env,
            stderr=file,
        )
        try:
            limit = time.monotonic() + 120
            while not (found := re.search(ADDRESS, log.read_text())):
                assert server.poll() is None and time.monotonic() < limit, log.read_text()
                time.sleep(0.2)
            yield found[0]
        finally:
            server.terminate()
            server.wait(30)


def opened(browser, lab: str, name: str):
    tab = browser.new_page(viewport={"width": 1280, "height": 1400})
    tab.goto(f"{lab}lab/tree/{name}?reset", timeout=120_000)
    tab.locator(".jp-Notebook").first.wait_for(timeout=120_000)
    return tab


def test_figures_are_seen_in_a_notebook_that_is_not_trusted(lab, browser):
    tab = opened(browser, lab, "executed.ipynb")
    images = tab.locator(".jp-OutputArea-output img")
    images.nth(1).wait_for(timeout=60_000)
    kinds = [images.nth(i).get_attribute("src")[:18] for i in range(images.count())]
    assert kinds == ["data:image/png;bas", "data:image/svg+xml"]
    sizes = images.evaluate_all("all => all.map(i => i.naturalWidth)")
    assert min(sizes) > 200
    assert "<Figure size" not in tab.locator(".jp-Notebook").inner_text()
    assert tab.locator("input[type=range]").count() == 0
    tab.close()


def test_a_slider_of_a_running_notebook_sets_the_value_in_python(lab, browser):
    tab = opened(browser, lab, "executed.ipynb")
    tab.get_by_text("Run", exact=True).first.click()
    tab.get_by_text("Run All Cells", exact=True).first.click()
    slider = tab.get_by_role("slider").first
    slider.wait_for(timeout=120_000)
    said = tab.locator(".jp-OutputArea-output", has_text="gamma is")
    said.wait_for(timeout=60_000)
    assert float(said.inner_text().rpartition(" ")[2]) == pytest.approx(0.1)
    slider.focus()
    for _ in range(3):
        slider.press("ArrowRight")
    time.sleep(1)  # for the kernel to hear of it
    last = tab.locator(".jp-CodeCell").last
    last.locator(".cm-content").click()
    tab.keyboard.press("Control+Enter")
    tab.wait_for_function(
        """() => [...document.querySelectorAll(".jp-OutputArea-output")]
          .some(o => /gamma is/.test(o.innerText) && !/gamma is 0\\.1\\s*$/.test(o.innerText))""",
        timeout=60_000,
    )
    assert float(said.inner_text().rpartition(" ")[2]) > 0.1
    tab.close()


def test_a_chapter_opens_as_a_notebook(lab, browser):
    tab = opened(browser, lab, "chapter.md")
    tab.locator(".jp-CodeCell").first.wait_for(timeout=60_000)
    assert tab.locator(".jp-CodeCell").count() > 0
    tab.close()
