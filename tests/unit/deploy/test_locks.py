"""The lock files hold everything that is asked for, hashed, and name no place to get it from."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
RUNTIME, DEVELOPMENT = "requirements.lock", "requirements-dev.lock"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))

every_lock = pytest.mark.parametrize("lock", [RUNTIME, DEVELOPMENT])


def pins(lock: str) -> dict[tuple[str, str], str]:
    """(name, version) -> the rest of the entry; a package may have one version per Python."""
    text = (ROOT / lock).read_text("utf-8")
    found = re.findall(r"^([a-z0-9._-]+)==(\S+)((?:.*\\\n)+.*)", text, re.MULTILINE)
    return {(name, version): rest for name, version, rest in found}


def names(requirements: list[str]) -> set[str]:
    return {re.split(r"[\[<>=!~; ]", r)[0].lower().replace("_", "-") for r in requirements}


@every_lock
def test_every_entry_has_a_hash(lock: str) -> None:
    text = (ROOT / lock).read_text("utf-8")
    assert len(pins(lock)) == len(re.findall(r"^\S+==", text, re.MULTILINE)) > 40
    for pin, rest in pins(lock).items():
        assert "--hash=sha256:" in rest, pin


@every_lock
def test_no_address_and_no_option_is_in_it(lock: str) -> None:
    text = (ROOT / lock).read_text("utf-8")
    assert "://" not in text
    assert not re.search(r"^\s*-(?!-hash)", text, re.MULTILINE)


def test_what_the_project_asks_for_is_locked() -> None:
    runtime = {name for name, _ in pins(RUNTIME)}
    assert names(PROJECT["project"]["dependencies"]) <= runtime
    groups = [
        requirement for group in PROJECT["dependency-groups"].values() for requirement in group
    ]
    assert names(groups) <= {name for name, _ in pins(DEVELOPMENT)}


def test_development_adds_to_the_runtime_and_changes_nothing() -> None:
    assert pins(RUNTIME).keys() <= pins(DEVELOPMENT).keys()


def test_what_only_development_needs_is_not_in_the_runtime() -> None:
    runtime = {name for name, _ in pins(RUNTIME)}
    assert not runtime & {"pytest", "mypy", "ruff", "playwright", "hypothesis"}


def test_make_help_names_the_targets() -> None:
    said = subprocess.run(
        ["make", "help"], cwd=ROOT, capture_output=True, text=True, timeout=30, check=True
    ).stdout
    targets = re.findall(r"make ([a-z-]+)", said)
    wanted = {"help", "install", "demo", "test", "test-all", "bench", "lint", "generate", "clean"}
    assert wanted <= set(targets)


@pytest.mark.parametrize("script", ["deploy/install.sh", "deploy/tools.sh", ".ci/run"])
def test_scripts_are_executable_and_can_be_parsed(script: str) -> None:
    path = ROOT / script
    assert path.stat().st_mode & 0o111
    shell = path.read_text("utf-8").partition("\n")[0].rpartition("/")[2].split()[-1]
    subprocess.run([shell, "-n", str(path)], check=True, timeout=30)
