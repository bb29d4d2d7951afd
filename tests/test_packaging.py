"""What is built from the sources: its contents, and that the core works where only it is installed.

The environment of these tests holds copies of what the core's requirements close over, and nothing
else, so that a forgotten import of anything more is an error.
"""

import re
import subprocess
import sys
import tarfile
import tomllib
import venv
import zipfile
from importlib import metadata
from itertools import chain
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
CORE = {"numpy", "scipy", "torch", "tqdm"}
# what a reader of the README has at hand
PREAMBLE = """
import torch
torch.manual_seed(0)
x = torch.randn(64, 5, dtype=torch.float64)
y = x[:, 0] + 0.1 * torch.randn(64, dtype=torch.float64)
labels = (y > 0).long()
model = torch.nn.Sequential(
    torch.nn.Linear(5, 8, bias=False), torch.nn.Tanh(), torch.nn.Linear(8, 2, bias=False)
).double()
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> dict[str, Path]:
    """The wheel and the source distribution."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (wheel,), (sdist,) = folder.glob("*.whl"), folder.glob("*.tar.gz")
    return {"wheel": wheel, "sdist": sdist}


def closure(names: set[str]) -> dict[str, metadata.Distribution]:
    """The distributions that the named ones need here, themselves included."""
    found: dict[str, metadata.Distribution] = {}
    todo = set(names)
    while todo:
        name = canonicalize_name(todo.pop())
        if name in found:
            continue
        try:
            found[name] = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue  # for another machine, as the packages of a GPU
        for text in found[name].requires or ():
            requirement = Requirement(text)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                todo.add(requirement.name)
    return found


@pytest.fixture(scope="module")
def alone(built, tmp_path_factory) -> Path:
    """The interpreter of an environment with the wheel and what its core asks for."""
    folder = tmp_path_factory.mktemp("alone")
    venv.create(folder, with_pip=False, symlinks=True)
    packages = next(folder.glob("lib/python*/site-packages"))
    for distribution in closure({Requirement(r).name for r in PROJECT["dependencies"]}).values():
        tops = {f.parts[0] for f in distribution.files or () if f.parts[0] not in ("..", "bin")}
        for top in tops - {"__pycache__"}:
            source = Path(str(distribution.locate_file(top)))
            if source.exists() and not (packages / top).exists():
                (packages / top).symlink_to(source)
    with zipfile.ZipFile(built["wheel"]) as wheel:
        wheel.extractall(packages)
    return folder / "bin" / "python"


def run(python: Path, code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [python, "-I", "-W", "error", "-c", code], cwd=folder, capture_output=True, text=True
    )


def test_the_core_asks_for_four_packages():
    assert {Requirement(r).name for r in PROJECT["dependencies"]} == CORE
    # torch comes in builds that bring the libraries of a GPU along
    own = [name for name in closure(CORE) if not name.startswith(("nvidia-", "cuda-", "triton"))]
    assert len(own) < 20


def test_every_dependency_has_its_reason():
    text = (ROOT / "pyproject.toml").read_text().partition("[project.scripts]")[0]
    listed = re.findall(r'^  "(?!phase-utils\[)([\w-]+)[^"]*",(.*)$', text, re.M)
    wanted = chain(PROJECT["dependencies"], *PROJECT["optional-dependencies"].values())
    names = {Requirement(r).name for r in wanted} - {PROJECT["name"]}
    reasons = {name: note.strip() for name, note in listed}
    assert names <= set(reasons)
    assert [name for name in names if not re.fullmatch(r"# \w.{3,}", reasons[name])] == []


def test_wheel_holds_the_package_and_the_chapters(built):
    with zipfile.ZipFile(built["wheel"]) as wheel:
        names = wheel.namelist()
    tops = {name.partition("/")[0] for name in names}
    assert tops == {"phase_utils", f"phase_utils-{PROJECT['version']}.dist-info"}
    sources = {f"phase_utils/{p.relative_to(ROOT / 'phase_utils').as_posix()}" for p in shipped()}
    assert sources <= set(names)
    chapters = {f"phase_utils/_notebooks/{p.name}" for p in (ROOT / "notebooks").glob("[0-9]*.md")}
    assert chapters | {"phase_utils/_notebooks/tiers.toml"} <= set(names)
    assert {n for n in names if n.endswith(("/LICENSE", "/LICENSE-text"))} != set()
    unwanted = [n for n in names if n not in sources and n.startswith("phase_utils/")]
    assert all(n.startswith("phase_utils/_notebooks/") for n in unwanted)


def shipped() -> list[Path]:
    return [
        path
        for path in (ROOT / "phase_utils").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    ]


def test_source_distribution_builds_and_tests_the_book(built):
    with tarfile.open(built["sdist"]) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}
    whole = ("_config.yml", "_toc.yml", "Makefile", "requirements.txt", "CHANGELOG.md", "LICENSE")
    assert {*whole, "notebooks/01_formalism.md", "tests/conftest.py", "book/api.md"} <= names
    assert [n for n in names if n.startswith((".github", ".ci", "_build", "runs"))] == []


@pytest.mark.parametrize("number", [0, 1])
def test_examples_of_the_readme_need_the_core_alone(alone, tmp_path, number):
    blocks = re.findall(r"^```python\n(.*?)^```$", (ROOT / "README.md").read_text(), re.M | re.S)
    assert len(blocks) == 2
    done = run(alone, PREAMBLE + "import phase_utils as pu\n" + blocks[number], tmp_path)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("pu.claims", "pu.claims needs the package {}: pip install 'phase-utils[book]'"),
        (
            "pu.sweep(pu.Moments.isotropic(), depth=1, gamma=[0.1])",
            "sweep needs the package xarray: pip install 'phase-utils[sweeps]'",
        ),
        (
            "pu.phase_diagram(pu.Moments.isotropic(), gamma=[0.1])",
            "phase_diagram needs the package xarray: pip install 'phase-utils[sweeps]'",
        ),
    ],
)
def test_a_missing_extra_is_named(alone, tmp_path, code, message):
    done = run(alone, f"import phase_utils as pu; {code}", tmp_path)
    last = done.stderr.strip().splitlines()[-1]
    pattern = re.escape(f"ModuleNotFoundError: {message}").replace(r"\{\}", r"\w+")
    assert re.fullmatch(pattern, last)


def test_the_command_says_which_extra_is_missing(alone, tmp_path):
    code = (
        "import sys; from phase_utils.chapters.command_line import main; sys.exit(main(['list']))"
    )
    done = run(alone, code, tmp_path)
    assert done.returncode == 2
    assert re.fullmatch(
        r"phase-book needs the package \w+: pip install 'phase-utils\[book\]'\n", done.stderr
    )


def test_the_wheel_runs_a_chapter_outside_the_repository(built, tmp_path):
    """With what the extra `book` brings, which this interpreter has."""
    with zipfile.ZipFile(built["wheel"]) as wheel:
        wheel.extractall(tmp_path / "installed")
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path / 'installed')!r}); import phase_utils; "
        "from phase_utils.chapters.command_line import main; "
        "assert 'installed' in phase_utils.__file__; sys.exit(main(sys.argv[1:]))"
    )
    environment = {"PYTHONPATH": str(tmp_path / "installed"), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        [sys.executable, "-c", code, "run", "depth_zero", "--tier", "smoke", "--out", "runs"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert {p.name for p in (tmp_path / "runs").iterdir()} >= {
        "03_depth_zero.ipynb",
        "03_depth_zero.html",
    }
