"""What the documentation names exists: files, headings, tests, commands, flags and settings."""

import dataclasses
import re
from pathlib import Path

import pytest

from experiments.command_line.command import Flags
from experiments.command_line.main import COMMANDS, find_command
from experiments.setup.config import Config

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(ROOT.glob("docs/*.md"))]
PATH = re.compile(r"(?<![\w/.])(?:spade_tf|pipelines|experiments|tests|docs|\.ci)/[\w./*{},-]*\w")
COMMAND = re.compile(r"(?:run\.py|spade-tf) ([a-z]+)(?![\w.])([^`&|#\n]*)")
PROOF = re.compile(r"python (tests/proofs/\w+\.py)([^`&|#\n]*)")
FLAG = re.compile(r"(?<![\w-])--([a-z][\w.*]*)")
SETTING = re.compile(r"`([a-z]+\.(?!(?:cc|h|js|json|md|py|kt)`)[\w*]+)(?:=[^`]*)?`")
# Flags of programs that are not this project's: pip, pytest, npm, srun, docker, TF Serving.
OF_OTHER_PROGRAMS = re.compile(
    "dist|signal|rest_api_.*|model_config_.*|batching_.*|"
    "monitoring_config_.*|tensorflow_.*|enable_.*|no"
)


def shell(page: Path) -> str:
    """The text of a page, with the lines of one command joined."""
    return re.sub(r"\\\n\s*", "", page.read_text(encoding="utf-8"))


def flags_of(name: str) -> set[str]:
    flags = Flags()
    command = find_command(name)
    command.define(flags)
    own = {*flags.absl, "verbosity", "help", *(["config"] if command.experiment else [])}
    return own | {f"no{flag}" for flag in flags.absl}


def flags_of_proof(path: Path) -> set[str]:
    # Some proofs add several flags in a loop over their names.
    return set(re.findall(r'"(?:--)?(\w+)"', path.read_text(encoding="utf-8")))


def settings() -> set[str]:
    config = Config()
    return {
        f"{section.name}.{field.name}"
        for section in dataclasses.fields(config)
        if dataclasses.is_dataclass(getattr(config, section.name))
        for field in dataclasses.fields(getattr(config, section.name))
    } | {"teacher", "init_from", "name"}


SETTINGS = settings()
FLAGS = {name: flags_of(name) for name in COMMANDS}
PROOFS = {path.name: flags_of_proof(path) for path in (ROOT / "tests/proofs").glob("*.py")}
ANY_FLAG = set().union(*FLAGS.values(), *PROOFS.values())


def is_setting(name: str) -> bool:
    pattern = re.compile(name.replace(".", r"\.").replace("*", r"\w+"))
    return any(pattern.fullmatch(setting) for setting in SETTINGS)


def anchor(heading: str) -> str:
    """What a Markdown viewer makes of a heading to link to it."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def missing_flags(given: str, known: set[str]) -> set[str]:
    found = set()
    for flag in FLAG.findall(given):
        if flag in ("flags", "config.SECTION.FIELD"):  # Stand for any.
            continue
        if flag.startswith("config."):
            if not is_setting(flag.removeprefix("config.")):
                found.add(flag)
        elif flag not in known:
            found.add(flag)
    return found


each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


@each_page
def test_paths_exist(page):
    for name in PATH.findall(page.read_text(encoding="utf-8")):
        found = any(ROOT.glob(name)) or any(ROOT.glob(name + ".*"))
        assert found or "{" in name, f"{page.name}: there is no {name}"


@each_page
def test_links_lead_somewhere(page):
    prose = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", prose):
        if "://" in target:
            continue
        name, _, heading = target.partition("#")
        file = page.parent / name if name else page
        assert file.exists(), f"{page.name}: link to {target}"
        if heading:
            headings = re.findall(r"^#+ (.+)$", file.read_text(encoding="utf-8"), re.MULTILINE)
            assert heading in map(anchor, headings), f"{page.name}: link to {target}"


@each_page
def test_tests_exist(page):
    sources = "".join(path.read_text(encoding="utf-8") for path in ROOT.glob("tests/*/test_*.py"))
    for name in re.findall(r"::(test_\w+)", page.read_text(encoding="utf-8")):
        assert f"def {name}(" in sources, f"{page.name}: there is no test {name}"


@each_page
def test_commands_have_their_flags(page):
    text = shell(page)
    for name, given in COMMAND.findall(text):
        assert name in COMMANDS, f"{page.name}: there is no command {name}"
        assert not missing_flags(given, FLAGS[name]), f"{page.name}: run.py {name}{given}"
        for config in re.findall(r"--config=(\w+)(?![\w./])", given):
            assert (ROOT / f"experiments/{config}.py").exists(), f"{page.name}: --config={config}"
    for name, given in PROOF.findall(text):
        path = Path(name).name
        assert path in PROOFS, f"{page.name}: there is no {name}"
        assert not missing_flags(given, PROOFS[path]), f"{page.name}: {name}{given}"


@each_page
def test_flags_and_settings_exist(page):
    text = shell(page)
    codes = re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
    for code in codes:
        missing = {
            flag for flag in missing_flags(code, ANY_FLAG) if not OF_OTHER_PROGRAMS.fullmatch(flag)
        }
        assert not missing, f"{page.name}: no command has the flags of {code}"
    for name in SETTING.findall(text):
        section = name.partition(".")[0]
        if section in {setting.partition(".")[0] for setting in SETTINGS}:
            assert is_setting(name), f"{page.name}: there is no setting {name}"


def test_the_design_lists_every_command():
    table = (ROOT / "docs/DESIGN.md").read_text(encoding="utf-8").partition("| command |")[2]
    listed = re.findall(r"^\| (\w+) \|", table, re.MULTILINE)
    assert sorted(listed) == sorted(COMMANDS)
