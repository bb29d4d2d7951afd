"""Chapters are found, described and checked by name, and run to whole files without local paths."""

import json
import os
import re
import sys
from pathlib import Path

import demo_chapter
import nbformat
import numpy as np
import pytest
from jupyter_client.kernelspec import KernelSpecManager

from phase_utils import chapters
from phase_utils._files import write_atomic
from phase_utils.chapters import execution
from phase_utils.chapters.command_line import main
from phase_utils.chapters.parameters import parse_cell

NAMES = chapters.names()


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return demo_chapter.write(tmp_path_factory.mktemp("notebooks"))


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """Every test works in a folder of its own, as a user does."""
    monkeypatch.chdir(tmp_path)


# The book's own chapters


@pytest.mark.parametrize("name", NAMES)
def test_chapter_is_well_formed(name):
    chapter = chapters.find(name)
    first = [p.name for p in chapter.parameters[:5]]
    assert first == ["data", "target", "seed", "device", "tier"]
    tier = next(p for p in chapter.parameters if p.name == "tier")
    assert (tier.default, tier.choices) == ("book", chapters.TIERS)
    for size in chapters.TIERS:
        assert chapter.values(tier=size)["tier"] == size


def test_every_tier_belongs_to_a_chapter():
    assert set(chapters.tiers()) <= set(NAMES)


# The grammar of a parameters cell


def test_parameters_cell():
    source = (
        "# a heading\n"
        'data: str = "teacher"  # data set; choices teacher|path\n'
        "n: int = 3  # points; unit count; range 1..1e6\n"
        "gammas: list[float] = [\n    0.5,\n    1,\n]  # decays; range 0..inf; unit of signal\n"
        "fast: bool = True  # whether to hurry\n"
        "low: float = -1.5  # a bound; range -2..-1\n"
        "names: list[str] = []  # words; choices a|b; length 0..2\n"
    )
    data, n, gammas, fast, low, names = parse_cell(source)
    assert (data.kind, data.choices, data.help) == ("str", ("teacher", "path"), "data set")
    assert (n.default, n.unit, n.bounds, n.allowed) == (3, "count", (1, 1e6), "1..1000000")
    assert (gammas.type_name, gammas.bounds, gammas.unit) == (
        "list[float]",
        (0, np.inf),
        "of signal",
    )
    assert gammas.check([1, 2.5]) == [1.0, 2.5]
    assert fast.parse("False") is False
    assert low.check(-2) == -2.0
    assert (gammas.allowed, names.allowed) == ("0..inf; length 1..inf", "a | b; length 0..2")
    assert names.check([]) == []
    with pytest.raises(ValueError, match=r"names must have 0\.\.2 elements, got 3"):
        names.check(["a", "b", "a"])
    with pytest.raises(ValueError, match="gammas must have at least 1 element, got 0"):
        gammas.check([])


@pytest.mark.parametrize("name", chapters.names())
def test_columns_can_be_chosen_wherever_a_file_can(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("mine.csv").write_text("id,a,b,price\nx,1,2,3\ny,4,5,7\nz,0,1,1\n")
    chapter = chapters.find(name)
    by_name = {p.name: p for p in chapter.parameters}
    assert "path" in by_name["data"].choices
    given = {"data": "mine.csv", "target": "price"}
    with pytest.raises(chapters.ChapterError, match="column 'id': must be a number, got 'x'"):
        chapter.check_data(chapter.values(given))
    for choice in (
        {"drop": by_name["drop"].parse("id")},
        {"inputs": by_name["inputs"].parse("a, b")},
    ):
        chapter.check_data(chapter.values({**given, **choice}))
    sources = [cell.source for cell in chapter.notebook().cells if cell.cell_type == "code"]
    assert sum("inputs=inputs" in source and "drop=drop" in source for source in sources) == 1


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("id", ["id"]),
        ("[id]", ["id"]),
        ("id, zip code", ["id", "zip code"]),
        ("[2019, id]", ["2019", "id"]),
        ("2019", ["2019"]),
        ("['id', 'a, b']", ["id", "a, b"]),
        ("'a, b'", ["a, b"]),
        ("[]", []),
        ("", []),
    ],
)
def test_a_list_of_strings_needs_no_quotes(text, value):
    (drop,) = parse_cell("drop: list[str] = []  # columns to leave out; length 0..inf")
    assert drop.parse(text) == value


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("n = 3  # points", "line 1: only `name: type = literal  # help`"),
        ("n: int  # points", "only `name: type"),
        ("import os", "only `name: type"),
        ("n: int = (", "line 1: not Python"),
        ("n: int = 3", "n needs a comment"),
        ("n: int = 3  # ; range 1..4", "n needs a comment"),
        ("n: int = 1 + 2  # points", "must be a literal"),
        ("n: int = 3.0  # points", "must be of type int, got 3.0"),
        ("n: int = True  # points", "must be of type int, got True"),
        ("n: int = 9  # points; range 1..4", r"must be in 1\.\.4, got 9"),
        ("n: int = 3  # points; range 4..1", "must be `a..b` with a <= b"),
        ("n: int = 3  # points; range 1-4", "must be `a..b`"),
        ("n: int = 3  # points; rnage 1..4", "got 'rnage 1..4'"),
        ("n: int = 3  # points; range 1..4; range 1..5", "range is given twice"),
        ("n: int = 3  # points; length 1..4", "a length needs a list"),
        ("n: list = [3]  # points; length 2..4", r"must have 2\.\.4 elements, got 1"),
        ("n: list[int] = []  # points", "must have at least 1 element, got 0"),
        ("n: list = [3]  # points; length 2", "must be `a..b`"),
        ("n: int = 3  # points; choices 3|4", "choices need type str"),
        ("s: str = 'a'  # word; range 0..1", "a range needs type int or float"),
        ("s: str = 'a'  # word; choices a||b", "different and not empty"),
        ("s: str = 'c'  # word; choices a|b", "must be one of a, b, got 'c'"),
        ("n: complex = 3  # points", "type must be int, float"),
        ("n: list = []  # points", "whose elements are of one type"),
        ("n: list = [1, 'a']  # points", "whose elements are of one type"),
        ("n: list[int] = (1, 2)  # points", "must be a list"),
        ("n: int = 3  # points\nn: int = 4  # points", "line 2: n is declared twice"),
        ("# nothing", "declares no parameter"),
    ],
)
def test_malformed_parameters_cell(line, message):
    with pytest.raises(ValueError, match=message):
        parse_cell(line)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (":tags: [parameters]", ":tags: [other]", "exactly one code cell .* found 0"),
        (":tags: [hide-input]", ":tags: [parameters]", "found 2"),
        ("# A demo", "A demo", "no heading"),
        ("n: int = 3  # number", "n: int = 3  # ; number", "01_demo: line 6: n needs a comment"),
    ],
)
def test_malformed_chapter(tmp_path, old, new, message):
    demo_chapter.write(tmp_path, demo_chapter.SOURCE.replace(old, new))
    with pytest.raises(chapters.ChapterError, match=message):
        chapters.find("demo", tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[01_demo.smoke]\nn = 500", r"\[01_demo.smoke\]: n must be in 1..64"),
        ("[01_demo.smoke]\nm = 5", "unknown parameter 'm'"),
        ("[01_demo.smoke]\ntier = 'smoke'", "tier is set by itself"),
        ("[01_demo.book]\nn = 5", "only tables .* got 01_demo.book"),
        ("01_demo = 5", "only tables .* got 01_demo"),
        ("[01_demo", "tiers.toml: "),
    ],
)
def test_malformed_tiers(tmp_path, text, message):
    demo_chapter.write(tmp_path, tiers=text)
    with pytest.raises(chapters.ChapterError, match=message):
        chapters.find("demo", tmp_path)


# What may be asked for


def test_a_chapter_is_named_with_or_without_its_number(folder):
    assert chapters.find("demo", folder) == chapters.find("01_demo", folder)
    assert chapters.find("demo", folder).title == "A demo of everything"


@pytest.mark.parametrize(
    "name", ["../01_demo", "./01_demo", "x/01_demo", "..", "/01_demo", "01_demo.md", "", "01\\demo"]
)
def test_a_chapter_is_never_a_path(folder, name):
    with pytest.raises(chapters.ChapterError, match="a name from the list, not a path"):
        chapters.find(name, folder)


def test_close_names_are_suggested(folder, capsys):
    assert main(["run", "01_dmo"], folder=folder) == 2
    assert "did you mean 01_demo" in capsys.readouterr().err


@pytest.fixture
def no_kernel(monkeypatch):
    """A run that gets as far as its first cell fails."""
    monkeypatch.setattr(execution, "execute", lambda *_, **__: pytest.fail("a kernel starts"))


@pytest.mark.usefixtures("no_kernel")
@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("scal=2", "unknown parameter 'scal'; did you mean scale?"),
        ("n=2.5", "n must be of type int, got 2.5"),
        ("n=True", "n must be of type int, got True"),
        ("n=many", "n must be of type int, got 'many'"),
        ("n=__import__('os').getpid()", "n must be of type int"),
        ("n=0", "n must be in 1..64, got 0"),
        ("n=65", "n must be in 1..64, got 65"),
        ("scale=1e999", "scale must be finite"),
        ("scale='1'", "scale must be of type float"),
        ("depths=2", "depths must be a list[int], got 2"),
        ("depths=[0, 9]", "depths must be in 0..8, got 9"),
        ("depths=[0, 1.5]", "every element of depths must be of type int"),
        (
            "data=techer",
            "the path of a .csv, .tsv, .parquet or .npz file, got 'techer'; did you mean teacher?",
        ),
        ("data=path", "the path of a .csv, .tsv, .parquet or .npz file, got 'path'"),
        ("data=absent.csv", "there is no 'absent.csv'"),
        ("tier=huge", "tier must be one of smoke, book, paper, got 'huge'"),
        ("n", "-p must be name=literal, got 'n'"),
        ("n=" + "(" * 5000, "n must be of type int"),
    ],
)
def test_bad_parameters_stop_before_anything_runs(folder, capsys, given, message):
    assert main(["run", "demo", "-p", given], folder=folder) == 2
    assert message in capsys.readouterr().err
    assert not Path("runs").exists()


@pytest.mark.usefixtures("no_kernel")
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["-p", "n=2", "-p", "n=3"], "n is given twice"),
        (["--tier", "smoke", "-p", "tier=book"], "tier is given twice"),
        (["--out", "taken"], "out must be a folder"),
    ],
)
def test_bad_command(folder, capsys, words, message):
    Path("taken").touch()
    assert main(["run", "demo", *words], folder=folder) == 2
    assert message in capsys.readouterr().err


def test_values_of_a_run(folder):
    demo = chapters.find("demo", folder)
    assert demo.values() == {}
    assert demo.values(tier="book") == {"tier": "book"}
    assert demo.values(tier="smoke") == {"tier": "smoke", "n": 2, "scale": 0.5}
    assert demo.values({"n": 7}, "smoke") == {"tier": "smoke", "n": 7, "scale": 0.5}
    assert demo.values({"tier": "paper"}) == {"tier": "paper", "n": 64}
    assert demo.values({"n": 1, "scale": 10}) == {"n": 1, "scale": 10.0}
    assert type(demo.values({"scale": 10})["scale"]) is float
    with pytest.raises(chapters.ChapterError, match="tier must be one of"):
        demo.values(tier="huge")


def test_literals(folder):
    by_name = {p.name: p for p in chapters.find("demo", folder).parameters}
    assert by_name["target"].parse("progression") == "progression"
    assert by_name["target"].parse("'a b'") == "a b"
    assert by_name["target"].parse("3") == "3"
    assert by_name["depths"].parse("0, 2") == [0, 2]
    assert by_name["scale"].parse("2") == 2.0


def test_a_file_becomes_a_relative_path(folder, tmp_path):
    data = next(p for p in chapters.find("demo", folder).parameters if p.name == "data")
    file = tmp_path / "deep" / "mine.CSV"
    file.parent.mkdir()
    file.write_text("a,y\n1,2\n2,3\n")
    assert data.parse(str(file)) == os.path.join("deep", "mine.CSV")
    (tmp_path / "mine.txt").touch()
    with pytest.raises(ValueError, match=r"\.parquet or \.npz file"):
        data.parse("mine.txt")


def test_list_and_show(folder, capsys):
    assert main(["list"], folder=folder) == 0
    assert capsys.readouterr().out == "01  demo  A demo of everything\n"
    assert main(["show", "demo"], folder=folder) == 0
    title, _, head, *rows = capsys.readouterr().out.splitlines()
    assert title == "01  A demo of everything"
    assert head.split() == ["name", "type", "book", "smoke", "paper", "unit", "allowed", "help"]
    n = next(row for row in rows if row.startswith("n "))
    assert re.split(r"  +", n) == ["n", "int", "3", "2", "64", "count", "1..64", "number of points"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["data=teacher", "target=y"], "target chooses from a file, but data is 'teacher'"),
        (["data=mine.csv", "target=prize"], "got 'prize'; did you mean price?"),
        (["data=broken.csv"], "broken.csv"),
    ],
)
@pytest.mark.parametrize("command", [["run", "demo"], ["grid", "demo", "-g", "n=[1, 2]"]])
def test_unfit_data_stop_before_anything_runs(folder, capsys, monkeypatch, command, given, message):
    monkeypatch.setattr(execution, "execute", None)
    Path("mine.csv").write_text("a,price\n1,2\n2,3\n")
    Path("broken.csv").write_text("a,price\n1,2\n2,three\n")
    words = [word for one in given for word in ("-p", one)]
    assert main([*command, *words], folder=folder) == 2
    assert message in capsys.readouterr().err
    assert not Path("runs").exists()


# Runs


def test_run(folder, capsys, tmp_path):
    file = tmp_path / "mine.csv"
    file.write_text("a,y\n1,2\n2,3\n")
    words = ["run", "demo", "--tier", "smoke", "-p", "n=5", "-p", f"data={file}"]
    assert main([*words, "--out", "some/where"], folder=folder) == 0
    shown = capsys.readouterr()
    assert "claims:   2 pass" in shown.out
    assert "01_demo" in shown.err  # the progress bar
    out = Path("some/where")
    assert {p.name for p in out.iterdir()} == {"01_demo.ipynb", "01_demo.html"}
    nb = nbformat.read(out / "01_demo.ipynb", as_version=4)
    nbformat.validate(nb)
    injected = next(c for c in nb.cells if "injected-parameters" in c.metadata.get("tags", []))
    values = dict(line.split(" = ") for line in injected.source.splitlines()[1:])
    assert values == {"tier": '"smoke"', "n": "5", "scale": "0.5", "data": '"mine.csv"'}
    assert_no_local_path(out)
    text = (out / "01_demo.ipynb").read_text()
    assert "sum 5.000 of 5 at tier smoke" in text
    assert "The total is 5.00" in text


def test_failing_cell_keeps_what_ran(folder, capsys):
    assert main(["run", "demo", "-p", "mode=fails"], folder=folder) == 1
    shown = capsys.readouterr()
    assert "JSONDecodeError: Expecting value" in shown.err
    nb = nbformat.read("runs/01_demo.ipynb", as_version=4)
    outputs = [o for c in nb.cells if c.cell_type == "code" for o in c.outputs]
    assert any("sum 3.000" in o.get("text", "") for o in outputs)
    assert any(o.output_type == "error" for o in outputs)
    assert not any("after" in o.get("text", "") for o in outputs)
    assert "JSONDecodeError" in Path("runs/01_demo.html").read_text()
    assert_no_local_path(Path("runs"))


def test_a_kernel_that_dies_is_a_failing_cell(folder, capsys):
    assert main(["run", "demo", "-p", "mode=dies"], folder=folder) == 1
    assert "DeadKernelError" in capsys.readouterr().err
    assert "sum 3.000" in Path("runs/01_demo.ipynb").read_text()


@pytest.mark.parametrize(("mode", "code"), [("wrong", 3), ("leaves", 0)])
def test_claims_decide_the_exit_code(folder, capsys, mode, code):
    assert main(["run", "demo", "-p", f"mode={mode}"], folder=folder) == code
    shown = capsys.readouterr()
    summary = {"wrong": "1 pass, 1 fail", "leaves": "1 pass, 1 not applicable"}[mode]
    assert f"claims:   {summary}\n" in shown.out
    assert ("claims failed: Th-2" in shown.err) == (code == 3)


def test_the_running_interpreter_is_used(tmp_path, monkeypatch):
    """An installed kernel `python3` that points elsewhere changes nothing."""
    kernel = tmp_path / "jupyter" / "kernels" / "python3"
    kernel.mkdir(parents=True)
    spec = {"argv": ["/bin/false"], "display_name": "another", "language": "python"}
    (kernel / "kernel.json").write_text(json.dumps(spec))
    monkeypatch.setenv("JUPYTER_PATH", str(kernel.parent.parent))
    assert KernelSpecManager().get_kernel_spec("python3").argv == ["/bin/false"]
    cell = f"\n```{{code-cell}} ipython3\nassert sys.executable == {sys.executable!r}\n```\n"
    demo_chapter.write(tmp_path / "notebooks", demo_chapter.SOURCE + cell)
    done = chapters.run("demo", folder=tmp_path / "notebooks", progress=False)
    assert done.error == ""
    assert done.failing == ()


def test_a_write_that_breaks_off_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "result.txt"
    write_atomic(path, "old")

    def broken(*_):
        raise OSError("no space left")

    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(OSError, match="no space"):
        write_atomic(path, "new" * 1000)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_scrubbed_text(tmp_path):
    package = Path(execution.__file__)
    assert execution.scrub_text(f"in {tmp_path}/data/a.csv") == "in data/a.csv"
    assert execution.scrub_text(f"in {tmp_path}.") == "in .."
    assert execution.scrub_text(f"{Path.home()}/x") == "~/x"
    short = "phase_utils/chapters/execution.py"
    assert execution.scrub_text(f"\x1b[32m{package}:3") == f"\x1b[32m{short}:3"
    assert execution.scrub_text(nbformat.__file__) == "site-packages/nbformat/__init__.py"
    assert execution.scrub_text("File /opt/deep/x.py:3", everything=True) == "File x.py:3"
    kept = "a/b, 1/2, </b>, https://example.org/a/b, ~/x/y"
    assert execution.scrub_text(kept, everything=True) == kept


def assert_no_local_path(out: Path) -> None:
    roots = {str(Path.cwd()), str(Path.home()), sys.prefix, sys.base_prefix, "/tmp/"}
    roots |= {str(Path(execution.__file__).parent.parent)}
    for file in out.iterdir():
        text = file.read_text()
        # The pattern of an address in the script of MathJax is no path.
        text = re.sub(r"(?s)<script>.*?</script>", "", text)
        assert [root for root in roots if len(root) > 1 and root in text] == []
