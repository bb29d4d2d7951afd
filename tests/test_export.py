"""Exported notebooks and pages read well without MyST and load nothing from anywhere."""

import base64
import re
from xml.etree import ElementTree

import demo_chapter
import jupytext
import nbformat
import pytest
from bs4 import BeautifulSoup
from nbconvert.filters import markdown2html
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

import phase_utils as pu
from phase_utils.chapters import export
from phase_utils.chapters.plain_markdown import Converter, formatted, literal, words

SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><path d="M0 0L9 9"/></svg>'
PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJ"
    "AAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
# What makes a browser fetch from within a style sheet or a script.
LOADS = re.compile(r"@import|url\([\"']?(?:https?:)?//|\bfrom\s*[\"']https?:")


def glue_output(name: str, data: dict[str, str], *, shown: bool = False):
    prefix = "" if shown else "application/papermill.record/"
    return new_output(
        "display_data",
        data={prefix + mime: content for mime, content in data.items()},
        metadata={"scrapbook": {"name": name, "mime_prefix": prefix}},
    )


@pytest.fixture
def executed():
    """The demo chapter with outputs put in by hand."""
    nb = jupytext.reads(demo_chapter.SOURCE, fmt="md:myst")
    code = [cell for cell in nb.cells if cell.cell_type == "code"]
    code[2].outputs = [
        glue_output("total", {"text/plain": "np.float64(5.25)"}),
        glue_output("verdict", {"text/plain": "'It is more.'"}),
    ]
    code[3].outputs = [
        new_output("display_data", data={"image/svg+xml": SVG, "text/plain": "a line"}),
        new_output("display_data", data={"image/png": PIXEL, "text/plain": "a pixel"}),
    ]
    return nb


def parsed(page: str) -> BeautifulSoup:
    """Return the tree of a page without the script of MathJax."""
    return BeautifulSoup(page.replace(export.mathjax(), ""), "html.parser")


def converted(*cells: str, glued=None) -> str:
    """Return the Markdown cells of a notebook made readable, joined by a line of dashes."""
    nb = new_notebook(cells=[new_markdown_cell(cell) for cell in cells])
    outputs = [glue_output(name, data) for name, data in (glued or {}).items()]
    nb.cells.append(new_code_cell("0", outputs=outputs))
    markdown = [c.source for c in export.readable(nb).cells if c.cell_type == "markdown"]
    return "\n-----\n".join(markdown)


def test_demo_is_readable(executed):
    before = nbformat.writes(executed)
    nb = export.readable(executed)
    assert nbformat.writes(executed) == before
    nbformat.validate(nb)
    text = "\n\n".join(c.source for c in nb.cells if c.cell_type == "markdown")
    for expected in (
        "In A demo of *everything* the bound (1) holds, by Theorem 1 and\nTheorem 1, see Figure 1, "
        "[someone2020] and closed form (chapter 2).\nInline code `{eq}` stays, and so does $x^{`}$",
        "$$\n\\begin{aligned}\na &= b \\\\\nc &\\le d\n\\end{aligned} \\tag{1}\n$$",
        "**Theorem 1 (Squares).**\n\nA square is never negative:\n\n$$\nx^2 \\ge 0 \\tag{2}\n$$",
        "*Proof.* From (2).\n\n```python\nnothing = 1\n\n\nlines = 2\n```\n\n∎",
        "**Note.**\n\nNothing else.",
        "<details>\n<summary>More</summary>\n\nHidden words.\n\n</details>",
        "<details>\n<summary>Careful</summary>",
        "$$\ne = m \\tag{3}\n$$",
        "The total is 5.25, 5.25. It is more. But (not computed).",
        "*Figure 1.* A line with 5.2, see (2).",
        "**Exercise 1.**\n\nHow much is more?",
        "<details>\n<summary>Solution of Exercise 1</summary>\n\nIt is 5.\n\n</details>",
    ):
        assert expected in text
    for syntax in (":::", "```{", "{glue", "(sec-demo)=", "<!--", "% a comment", "](#"):
        assert syntax not in text


def test_nothing_is_handed_to_a_text_that_has_it_already(executed):
    code = [cell for cell in export.readable(executed).cells if cell.cell_type == "code"]
    assert code[2].outputs == []
    assert len(code[3].outputs) == 2  # what is shown stays
    assert not any("myst_nb" in cell.source for cell in code)
    names = {"values": [1.0, 2.0]}
    exec(code[2].source, names)
    assert names["glue"]("total", 3.0, display=False) is None


def test_caption_follows_its_figure(executed):
    cells = export.readable(executed).cells
    at = next(i for i, cell in enumerate(cells) if cell.source.startswith("*Figure 1.*"))
    assert "image/svg+xml" in cells[at - 1].outputs[0].data
    again = export.readable(executed).cells
    assert [cell.id for cell in again] == [cell.id for cell in cells]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("```{math}\n\\begin{align*}\na &= 1\n\\end{align*}\n```", "$$\n\\begin{aligned}\na &= 1"),
        ("```{math}\n\\begin{equation}\na\n\\end{equation}\n```", "$$\na\n$$"),
        ("$$ a = b $$", "$$\na = b\n$$"),
        ("$$ a $$ (eq-a)\n\nby {eq}`eq-a`", "$$\na \\tag{1}\n$$\n\nby (1)"),
        ("by {eq}`eq-a`\n\n```{math}\n:label: eq-a\n\na\n```", "by (1)\n\n$$\na \\tag{1}\n$$"),
        ("{eq}`eq-06-latent-heat`", "latent heat (chapter 6)"),
        ("{ref}`the text <eq-06-x>`, {doc}`02_landscape`", "the text, landscape (chapter 2)"),
        ("[words](#eq-06-x) and [page](03_depth_zero.md)", "words and page"),
        ("[kept](https://example.org) ![k](a.png)", "[kept](https://example.org) ![k](a.png)"),
        ("{cite:p}`a2020,b2021`", "[a2020; b2021]"),
        ("{math}`x^2` and `{math}` and ``{eq}`x` ``", "$x^2$ and `{math}` and ``{eq}`x` ``"),
        ("a <!-- not\nthis --> b", "a  b"),
        ("<!--\nnot this\n-->\nb", "b"),
        ("a\n\n+++\n\n% not this\nb", "a\n\nb"),
        (
            "```python\n% kept\n(kept)=\n{eq}`kept`\n```",
            "```python\n% kept\n(kept)=\n{eq}`kept`\n```",
        ),
        ("```{code-block} python\n:linenos:\n\nx = 1\n```", "```python\n\nx = 1\n```"),
        ("- item\n\n  ```{math}\n  a\n  ```\n- next", "- item\n\n  $$\n  a\n  $$\n\n- next"),
        ("```{prf:lemma}\n:nonumber:\n\nText.\n```", "**Lemma.**\n\nText."),
        ("```{prf:proof} of the lemma\nText.\n```", "*Proof (of the lemma).* Text. ∎"),
        ("```{tip}\n---\nclass: dropdown\n---\nText.\n```", "<details>\n<summary>Tip</summary>"),
        (
            "```{figure} a.png\n:alt: an a\n:name: fig-a\n\nAn a.\n```",
            "![an a](a.png)\n\n*Figure 1.* An a.",
        ),
        ("```{unknown} Title\nText.\n```", "**Title.**\n\nText."),
        (":::{div}\nText.\n:::", "Text."),
        (
            "````{note}\n```{tip}\nInner.\n```\nOuter.\n````",
            "**Note.**\n\n**Tip.**\n\nInner.\n\nOuter.",
        ),
        ("::::{note}\n:::{tip}\nInner.\n:::\n::::\nAfter.", "Inner.\n\nAfter."),
    ],
)
def test_markdown(source, expected):
    assert expected in converted(source)


def test_a_reference_leads_to_a_chapter_that_lies_beside():
    source = (
        "{doc}`/notebooks/05_depth_one`, {doc}`it </notebooks/05_depth_one>`, {eq}`eq-05-root`,\n"
        "[there](05_depth_one.md#root), {eq}`eq-06-gap`, {term}`spinodal`, {eq}`eq-07-own`\n\n"
        "```{math}\n:label: eq-07-own\nx\n```"
    )
    nb = new_notebook(cells=[new_markdown_cell(source)])
    alone, linked = (
        export.readable(nb, beside=beside).cells[0].source for beside in ((), ("05_depth_one",))
    )
    to = "(05_depth_one.ipynb)"
    words = "[depth one (chapter 5)]", "[it]", "[root (chapter 5)]", "[there]"
    first, _, rest = linked.partition("gap (chapter 6), spinodal, (1)")
    assert first.replace(",\n", ", ") == "".join(f"{shown}{to}, " for shown in words)
    assert "ipynb" not in rest and "](" not in alone


def test_numbers_go_on_from_cell_to_cell():
    first = "{prf:ref}`thm-b`\n\n```{prf:theorem}\n:label: thm-a\n\nA.\n```"
    second = "```{prf:lemma}\nL.\n```\n\n```{prf:theorem} B\n:label: thm-b\n\nB.\n```"
    text = converted(first, second)
    assert text.startswith("Theorem 2\n")
    assert "**Lemma 1.**" in text and "**Theorem 2 (B).**" in text


def test_gated_exercise():
    text = converted(
        "```{exercise-start} Try\n:label: ex-a\n```\nDo it.\n\n```{exercise-end}\n```",
        "```{solution-start} ex-a\n```\nDone.",
        "```{solution-end}\n```",
    )
    assert text == "**Exercise 1 (Try).**\n\nDo it.\n-----\n**Solution of Exercise 1.**\n\nDone."


def test_glued_values():
    glued = {
        "md": {"text/markdown": "a **jump**", "text/plain": "<Markdown>"},
        "table": {"text/html": "<table></table>", "text/plain": "a table"},
        "figure": {"image/svg+xml": SVG, "text/plain": "a figure"},
        "n": {"text/plain": "7"},
    }
    assert converted("It is {glue:md}`md`.", glued=glued) == "It is a **jump**."
    assert converted("```{glue:md} md\n```", glued=glued) == "a **jump**"
    assert converted("```{glue} table\n```", glued=glued) == "<table></table>"
    assert (
        converted("{glue:}`n`, {glue:text}`n:d`, {glue:text}`n:.1e`", glued=glued)
        == "7, 7, 7.0e+00"
    )
    source = "```{glue:figure} figure\n:alt: a line\n:name: fig-a\n\nA {glue:text}`n`.\n```"
    assert converted(source, glued=glued) == "![a line](attachment:figure.svg)\n\n*Figure 1.* A 7."


def test_glued_figure_travels_with_its_cell():
    nb = new_notebook(
        cells=[
            new_code_cell("0", outputs=[glue_output("f", {"image/png": PIXEL}, shown=True)]),
            new_markdown_cell("```{glue:figure} f\n:alt: a pixel\n```"),
        ]
    )
    cell = export.readable(nb).cells[1]
    assert cell.attachments == {"f.png": {"image/png": PIXEL}}
    image = parsed(export.to_html(export.readable(nb))).find("img", alt="a pixel")
    assert image["src"] == f"data:image/png;base64,{PIXEL}"


def test_words_and_formats():
    assert words("eq-06-x-of-y") == "x of y (chapter 6)"
    assert words("transition") == "transition"
    assert formatted("'a'", ".2f") == "a"
    assert formatted("np.float64(0.125)", ".2f") == "0.12"
    assert formatted("3", "") == "3"
    assert Converter({}).inline("$a_{x}$ and `b`") == "$a_{x}$ and `b`"


MARKUP = "a_b|_a_ __b__|*c* **d**|`e`|# f|- g|+ h|1. i|2) j|== k|> l|~~m~~|[n](o)|![p](q.png)|***"
LITERALS = [
    *MARKUP.split("|"),
    "a | b",
    "|a|\n|-|",
    "<b>r</b>",
    "&lt;b&gt; & s",
    "a<!-- t -->",
    "\\",
]
LITERALS += ["$x$", "$$x$$", r"\(x\)", r"\\(x\\)", r"\begin{align}x\end{align}", "&#36;x&#36;"]
LITERALS += ["{eq}`u`", ":::note", "-0.5", "1e-05", "3.5 m", "https://example.org/a_b"]


@pytest.mark.parametrize("text", LITERALS)
@pytest.mark.parametrize("before", ["", "x "])
def test_a_literal_is_shown_as_it_is(text, before):
    page = BeautifulSoup(markdown2html(before + literal(text)), "html.parser")
    assert page.get_text().strip() == before + " ".join(text.split())
    assert {tag.name for tag in page.find_all()} <= {"p", "a", "span"}
    links = [a["href"] for a in page("a")]
    assert links == ([text] if text.startswith("https:") else [])
    # nothing is left that MathJax would read as a formula: these stand in elements of their own
    assert all(s.parent.name == "span" for s in page.find_all(string=re.compile(r"[$\\]")))


def test_a_string_is_handed_over_as_it_was():
    for text in ("it's", 'a "b"', 'it\'s "both"', "a\\b", "a\nb"):
        assert formatted(repr(text), "") == text


def test_claims_have_the_names_of_the_paper_or_none():
    text = "It jumps ({claim}`ext-pass`), as {claim}`Eq-8` says ({claim}`ext-a`, {claim}`text-b`)."
    assert Converter({}).inline(text) == "It jumps, as Eq. 8 says."
    text = "So ({claim}`ext-pass`, {claim}`Fig-3-left`), and `f()` stays."
    assert Converter({}).inline(text) == "So (Fig. 3 left), and `f()` stays."


def test_a_live_figure_is_an_image_where_nothing_is_trusted():
    made = pu.widgets.landscape()
    html = new_output("display_data", data={"text/html": made._repr_html_()})
    nb = new_notebook(cells=[new_code_cell("1", outputs=[html])])
    shown = BeautifulSoup(export.untrusted(nb).cells[0].outputs[0].data["text/html"], "html.parser")
    assert shown.find("svg") is None
    image = shown.find(class_="pu-live-static").find("img")
    assert image["alt"] == made.description
    drawn = base64.b64decode(image["src"].partition("base64,")[2]).decode()
    assert ElementTree.fromstring(drawn).tag == "{http://www.w3.org/2000/svg}svg"
    assert "currentColor" not in drawn
    assert shown.find("script")  # for those who trust it


def test_page_is_complete_in_itself(executed):
    nb = export.readable(executed)
    nb.metadata["widgets"] = {"application/vnd.jupyter.widget-state+json": {"state": {}}}
    view = {"application/vnd.jupyter.widget-view+json": {"model_id": "1"}, "text/html": "<b>w</b>"}
    nb.cells.append(new_code_cell("w", outputs=[new_output("display_data", data=view)]))
    page = export.to_html(nb)
    assert export.mathjax() in page
    outside = page.replace(export.mathjax(), "")
    assert LOADS.findall(outside) == []
    tree = parsed(page)
    assert tree.html["lang"] == "en"
    assert tree.title.string == "A demo of everything"
    assert tree.find_all("link") == []
    sources = [tag["src"] for tag in tree.find_all(src=True)]
    svg = base64.b64encode(SVG.encode()).decode()
    assert sources == [f"data:image/svg+xml;base64,{svg}", f"data:image/png;base64,{PIXEL}"]
    assert [tag["alt"] for tag in tree.find_all("img")] == ['A "straight" line'] * 2
    assert "<b>w</b>" in outside and "widget-view" not in outside and "widget-state" not in outside
    assert "Code" in [tag.string for tag in tree.find_all("summary")]


def test_tags_that_hide_are_obeyed():
    nb = new_notebook(
        cells=[
            new_code_cell("secret = 1", metadata={"tags": ["remove-input"]}),
            new_code_cell("hidden = 2", metadata={"tags": ["remove-cell"]}),
            new_code_cell("shown = 3"),
        ]
    )
    page = export.to_html(nb).replace(export.mathjax(), "")
    assert "secret" not in page and "hidden = " not in page
    assert "shown" in page


def test_page_in_a_browser(executed, tmp_path, browser):
    """A browser without a network typesets every formula and asks for nothing but the page."""
    path = tmp_path / "page.html"
    path.write_text(export.to_html(export.readable(executed)), encoding="utf-8")
    requests, messages = [], []
    page = browser.new_page()
    page.on("request", lambda request: requests.append(request.url))
    page.on("console", lambda message: messages.append(message.text))
    page.on("pageerror", lambda error: messages.append(str(error)))
    page.goto(path.as_uri())
    page.wait_for_function("document.querySelectorAll('mjx-container').length >= 4")
    wrong = page.evaluate("document.querySelectorAll('[data-mml-node=merror]').length")
    unread = page.evaluate("[...document.images].filter(i => !i.alt || !i.naturalWidth).length")
    page.close()
    assert [url for url in requests if not url.startswith("data:")] == [path.as_uri()]
    assert (messages, wrong, unread) == ([], 0, 0)
