"""The files around the code agree with each other: versions, pins, and what may stand in them."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import metadata
from itertools import chain
from pathlib import Path

import lowest
import portability
import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

import phase_utils

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LINES = [
    line for line in (ROOT / "requirements.txt").read_text().splitlines() if line[:1] not in "#"
]
WORKFLOW_FILES = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
WEB = ("links", "offline", "pages")
PINS = {canonicalize_name(name): version for name, _, version in (x.partition("==") for x in LINES)}


def test_every_requirement_is_pinned_plainly():
    # neither a local label such as +cpu, nor an index, a host, or a path
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][A-Za-z0-9.]*", line) for line in LINES)
    assert sorted(LINES, key=str.upper) == LINES


def test_pins_work_without_a_gpu():
    assert not [name for name in PINS if re.match(r"nvidia|cuda|triton", name)]


def test_pins_satisfy_what_the_project_asks_for():
    # the environment has no peers of the benchmarks, no compiler, no downloader of images, no
    # reader of Parquet, no JupyterLab
    outside = {"benchmarks", "fast", "images", "lab", "parquet"}
    extras = {k: v for k, v in PROJECT["optional-dependencies"].items() if k not in outside}
    wanted = chain(PROJECT["dependencies"], *extras.values())
    for requirement in map(Requirement, wanted):
        if requirement.name != PROJECT["name"]:
            assert requirement.specifier.contains(PINS[canonicalize_name(requirement.name)])


def test_pins_install_on_the_oldest_python_that_the_project_takes():
    oldest = re.search(r"[0-9.]+", PROJECT["requires-python"])[0] + ".0"
    asked = {name: metadata(name).get("Requires-Python") or "" for name in PINS}
    assert {k: v for k, v in asked.items() if not SpecifierSet(v).contains(oldest)} == {}


def test_pre_commit_uses_the_pinned_versions():
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
    pins = {pin for hook in hooks for pin in hook.get("additional_dependencies", [])}
    assert pins
    assert pins <= set(LINES)


def test_the_lock_has_hashes_of_what_is_pinned_and_names_no_place():
    text = (ROOT / "requirements.lock").read_text()
    parts = re.split(r"\n(?=\S)", text.rstrip())
    entries = [part.split(" \\\n    ") for part in parts if not part.startswith("#")]
    locked = dict(entry[0].split("==") for entry in entries)
    # torch's builds differ by machine
    assert {canonicalize_name(k): v for k, v in locked.items()} | {"torch": PINS["torch"]} == PINS
    for _, *hashes in entries:
        assert hashes and all(re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", h) for h in hashes)


WORKFLOWS = {path.stem: yaml.safe_load(path.read_text()) for path in WORKFLOW_FILES}


def test_workflows_use_one_version_of_each_action_pinned_by_its_commit():
    lines = [line for path in WORKFLOW_FILES for line in path.read_text().splitlines()]
    used = {line.partition("uses: ")[2] for line in lines if "uses: " in line}
    pinned = r"actions/[\w-]+@[0-9a-f]{40}  # v\d+\.\d+\.\d+"
    assert used and all(re.fullmatch(pinned, use) for use in used)
    assert len({use.partition("@")[0] for use in used}) == len(used)


def test_one_job_of_the_workflows_may_write_and_it_runs_nothing_that_it_installed():
    assert all(flow["permissions"] == {"contents": "read"} for flow in WORKFLOWS.values())
    jobs = {
        (name, key): job for name, flow in WORKFLOWS.items() for key, job in flow["jobs"].items()
    }
    writing = {key: job for key, job in jobs.items() if "permissions" in job}
    assert list(writing) == [("pages", "publish")]
    publish = writing["pages", "publish"]
    assert publish["permissions"] == {"contents": "write"} and publish["needs"] == "build"
    assert [step["run"] for step in publish["steps"] if "run" in step] == ["make publish"]
    for key, job in jobs.items():
        kept = [s.get("with", {}).get("persist-credentials", True) for s in checkouts(job)]
        assert kept == [key in writing], f"{key} keeps the token where other code could read it"


def checkouts(job):
    return [s for s in job["steps"] if s.get("uses", "").startswith("actions/checkout@")]


def test_pages_are_built_from_pushes_of_this_repository_alone():
    condition = WORKFLOWS["pages"]["jobs"]["build"]["if"]
    for part in (
        "github.event.workflow_run.conclusion == 'success'",
        "github.event.workflow_run.event == 'push'",
        "github.event.workflow_run.head_repository.full_name == github.repository",
    ):
        assert part in condition.partition("'workflow_dispatch' || (")[2]
    assert condition.count("||") == 1


def test_workflows_install_from_the_lock():
    assert all(flow["env"]["LOCKED"] == "1" for flow in WORKFLOWS.values())


def test_the_scheduled_workflow_runs_every_machine_and_version():
    matrix = WORKFLOWS["scheduled"]["jobs"]["run"]["strategy"]["matrix"]["include"]
    runs = [entry["make"] for entry in matrix]
    machines = [word for run in runs for word in run.partition("MACHINES=")[2].strip('"').split()]
    assert sorted(machines) == sorted(portability.MACHINES)
    # the long tests of pages are among those that are scheduled, and need the book
    assert {"lowest", "book scheduled"} <= set(runs)
    assert {e["python"] for e in matrix if e["make"] == "test"} == {"3.11", "3.12", "3.13"}


@pytest.mark.parametrize(
    ("declared", "lowest_version"),
    [("a>=1.2", "a==1.2"), ("a-b >= 1.2, < 3", "a-b==1.2"), ("a==0.0.2", "a==0.0.2")],
)
def test_lowest_version(declared, lowest_version):
    assert lowest.minimum(declared) == lowest_version


@pytest.mark.parametrize("declared", ["a", "a<3", "a!=2"])
def test_no_lowest_version(declared):
    with pytest.raises(ValueError, match=f"'{declared}' of pyproject.toml declares no lowest"):
        lowest.minimum(declared)


def test_lowest_versions_are_of_all_that_the_tests_need():
    extras = PROJECT["optional-dependencies"]
    found = lowest.minima(PROJECT)
    names = {line.partition("==")[0] for line in found}
    wanted = [
        *PROJECT["dependencies"],
        *(x for k, v in extras.items() if k not in lowest.UNTESTED for x in v),
    ]
    assert names == {Requirement(x).name for x in wanted} - {PROJECT["name"]}
    assert len(names) == len(found)


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
