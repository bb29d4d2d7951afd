"""The files around the code agree with each other: versions, pins, and what may stand in them."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from itertools import chain
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import phase_utils

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LINES = [
    line for line in (ROOT / "requirements.txt").read_text().splitlines() if line[:1] not in "#"
]
WEB = ("links", "offline", "pages")
PINS = {canonicalize_name(name): version for name, _, version in (x.partition("==") for x in LINES)}


def test_every_requirement_is_pinned_plainly():
    # neither a local label such as +cpu, nor an index, a host, or a path
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][A-Za-z0-9.]*", line) for line in LINES)
    assert sorted(LINES, key=str.upper) == LINES


def test_pins_work_without_a_gpu():
    assert not [name for name in PINS if re.match(r"nvidia|cuda|triton", name)]


def test_pins_satisfy_what_the_project_asks_for():
    # the environment has no peers of the benchmarks, no downloader of images, no reader of Parquet
    outside = {"benchmarks", "images", "parquet"}
    extras = {k: v for k, v in PROJECT["optional-dependencies"].items() if k not in outside}
    wanted = chain(PROJECT["dependencies"], *extras.values())
    for requirement in map(Requirement, wanted):
        if requirement.name != PROJECT["name"]:
            assert requirement.specifier.contains(PINS[canonicalize_name(requirement.name)])


def test_pre_commit_uses_the_pinned_versions():
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
    pins = {pin for hook in hooks for pin in hook.get("additional_dependencies", [])}
    assert pins
    assert pins <= set(LINES)


def test_workflows_use_one_version_of_each_action():
    texts = [path.read_text() for path in (ROOT / ".github" / "workflows").glob("*.yml")]
    used = {use for text in texts for use in re.findall(r"uses: (\S+)", text)}
    assert len(texts) > 1 and all(re.fullmatch(r"actions/[\w-]+@v\d+", use) for use in used)
    assert len({use.partition("@")[0] for use in used}) == len(used)


def test_version_is_the_same_everywhere():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == PROJECT["version"]
    assert getattr(phase_utils, "__version__", PROJECT["version"]) == PROJECT["version"]


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md"])
def test_links_between_files_lead_somewhere(name):
    targets = re.findall(r"\]\(([^)#]+)\)", (ROOT / name).read_text())
    assert [t for t in targets if "://" not in t and not (ROOT / t).exists()] == []


def test_contents_and_chapters_are_the_same():
    contents = yaml.safe_load((ROOT / "_toc.yml").read_text())
    listed = {c["file"] for part in contents["parts"] for c in part["chapters"]}
    chapters = {f"notebooks/{path.stem}" for path in (ROOT / "notebooks").glob("*.md")}
    assert {name for name in listed if name.startswith("notebooks/")} == chapters


def test_without_a_built_book_its_tests_are_skipped(tmp_path):
    """As in `make test` before the first `make book`."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    shutil.copytree(ROOT / "book", tmp_path / "book")
    shutil.copytree(
        ROOT / "tests",
        tmp_path / "tests",
        ignore=shutil.ignore_patterns("reference", "__pycache__"),
    )
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *(f"tests/web/test_{n}.py" for n in WEB)],
        cwd=tmp_path,
        env={k: v for k, v in os.environ.items() if not k.startswith(("PHASE_BOOK_", "PYTEST_"))},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    assert "failed" not in done.stdout and "skipped" in done.stdout
