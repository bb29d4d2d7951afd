"""Notebooks to take away, and the addresses that open them; nothing here is built or asked for."""

import gc
import logging
import sys
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest
import yaml
from docutils import nodes
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "book" / "_ext"))

take_away = pytest.importorskip("take_away")
ADDRESS = "https://github.com/someone/phase-book"
KNOWN = take_away.Repository("someone", "phase-book", "v1")


@pytest.mark.parametrize("address", [ADDRESS, f"{ADDRESS}/", f"{ADDRESS}.git", f"{ADDRESS}@main"])
def test_addresses_of_one_repository(address):
    assert take_away.Repository.parse(address) == ("someone", "phase-book", "main")


def test_revision_and_none():
    assert take_away.Repository.parse(f"{ADDRESS}@v1") == KNOWN
    assert take_away.Repository.parse("") is None


@pytest.mark.parametrize(
    "address", ["someone/phase-book", "https://github.com/someone", "https://example.org/a/b"]
)
def test_other_addresses_are_refused(address):
    with pytest.raises(ValueError, match=r"PHASE_BOOK_REPOSITORY must be .*, got '"):
        take_away.Repository.parse(address)


@pytest.fixture
def app(tmp_path):
    """What the functions ask of Sphinx, with one executed chapter."""
    cells = [
        new_markdown_cell("# Title\n\nThe answer is {glue:text}`c01_answer:.1f`."),
        new_code_cell("1", outputs=[new_output("display_data", {"application/pdf": "JVBERi0="})]),
    ]
    executed = tmp_path / "executed" / "notebooks" / "01_one.ipynb"
    executed.parent.mkdir(parents=True)
    nbformat.write(new_notebook(cells=cells), executed)
    glued = '{"c01_answer": {"output_type": "display_data", "data": {"text/plain": "42.04"}}}'
    executed.with_suffix(".glue.json").write_text(glued)
    return SimpleNamespace(
        env=SimpleNamespace(mystnb_config=SimpleNamespace(output_folder=tmp_path / "executed")),
        config=SimpleNamespace(phase_book_repository="", root_doc="book/introduction"),
        builder=SimpleNamespace(format="html"),
        outdir=tmp_path / "html",
    )


def links(app, docname) -> dict[str, str]:
    """Return what `offer` puts below the title of a page."""
    title = nodes.title(text="Title")
    page = nodes.document(None, None)
    page += nodes.section("", title, nodes.paragraph(text="First."))
    take_away.offer(app, page, docname)
    assert page[0][0] is title
    return {link.astext(): link["refuri"] for link in page[0][1].findall(nodes.reference)}


def test_a_chapter_says_how_long_it_takes_to_read():
    text = " ".join(["word"] * take_away.PACE)
    page = nodes.document(None, None)
    formula = nodes.math("", "a long formula of many words" * 99)
    page += nodes.section("", nodes.paragraph("", text), nodes.paragraph("", "", formula))
    assert take_away.minutes(page) == 1
    page[0] += nodes.admonition("", nodes.paragraph("", text), classes=["dropdown"])
    assert take_away.minutes(page) == 1
    page[0] += nodes.figure("", nodes.paragraph("", text * 2))
    assert take_away.minutes(page) == 3


def test_the_length_of_a_chapter_stands_beside_its_notebook(app):
    page = nodes.document(None, None)
    page += nodes.section("", nodes.title(text="Title"), nodes.paragraph(text="Prose."))
    take_away.offer(app, page, "notebooks/01_one")
    assert page[0][1].astext().endswith("1 min to read")


def written(app) -> nbformat.NotebookNode:
    """Return the notebook that is published, with what the page's menu says of it."""
    context = {}
    take_away.publish(app, "notebooks/01_one", "page.html", context, nodes.document(None, None))
    path = app.outdir / take_away.FOLDER / context["ipynb_source"]
    nb = nbformat.read(path, as_version=4)
    nbformat.validate(nb)
    return nb


def test_without_a_repository_there_is_the_notebook_alone(app):
    assert links(app, "notebooks/01_one") == {
        "Executed notebook": "../_sources/notebooks/01_one.ipynb"
    }
    assert links(app, "book/introduction") == {}
    nb = written(app)
    assert [cell.cell_type for cell in nb.cells] == ["markdown", "code"]
    take_away.write_environment(app, None)
    assert not (app.outdir / "binder").exists()


def test_buttons_point_at_what_is_published(app):
    app.config.phase_book_repository = f"{ADDRESS}@v1"
    found = links(app, "notebooks/01_one")
    path = found.pop("Executed notebook").removeprefix("../")
    assert found == KNOWN.buttons(path)
    assert all(address.endswith(f"/{path}") for address in found.values())
    written(app)
    assert (app.outdir / path).is_file()
    assert links(app, "book/introduction").keys() == take_away.WHOLE.keys()
    assert links(app, "book/status") == {}


def test_published_notebook_is_whole(app):
    nb = written(app)
    assert nb.cells[0].source.endswith("The answer is 42.0.")
    assert nb.cells[1].outputs[0].data == {}


def test_first_cell_and_binder_install_this_revision(app):
    app.config.phase_book_repository = f"{ADDRESS}@v1"
    package = f"phase-utils @ {ADDRESS}/archive/v1.zip"
    assert f'%pip install --quiet "{package}"' in written(app).cells[0].source
    take_away.write_environment(app, None)
    text = (app.outdir / "binder" / "environment.yml").read_text()
    assert {"pip": [package]} in yaml.safe_load(text)["dependencies"]


def test_nothing_of_this_goes_into_print(app):
    app.builder.format = "latex"
    assert links(app, "notebooks/01_one") == {}


@pytest.fixture
def databases_closed(monkeypatch):
    """Close what jupyter-cache leaves open, of which Python 3.13 warns whichever test runs then."""
    from jupyter_cache.cache import main

    opened = []
    create = main.create_db
    monkeypatch.setattr(main, "create_db", lambda path: opened.append(create(path)) or opened[-1])
    yield
    assert opened
    for database in opened:
        database.dispose()
    gc.collect()


@pytest.mark.usefixtures("databases_closed")
def test_outputs_from_the_cache_are_kept(tmp_path, monkeypatch):
    """MyST-NB writes the notebook that it read, which must then hold what the cache holds."""
    import phase_book
    from jupyter_cache import get_cache
    from jupyter_cache.cache.main import CacheBundleIn
    from myst_nb.core.config import NbParserConfig
    from myst_nb.core.execute.cache import NotebookClientCache

    monkeypatch.setattr(NotebookClientCache, "start_client", phase_book.keep_outputs)
    outputs = [new_output("stream", text="kept")]
    executed = new_notebook(cells=[new_code_cell("1", outputs=outputs)])
    bundle = CacheBundleIn(executed, "01_one.md", data={"execution_seconds": 1.0})
    get_cache(tmp_path).cache_notebook_bundle(bundle, check_validity=False)
    read = new_notebook(cells=[new_code_cell("1")])
    config = NbParserConfig(execution_mode="cache", execution_cache_path=str(tmp_path))
    with NotebookClientCache(read, None, config, logging.getLogger()) as client:
        assert client.notebook is read
    assert read.cells[0].outputs == outputs
