"""The README's commands run as they stand there, and those of docs/replay.md."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")
STORY = "touchlog rebuild my/"
"""Blocks with this are one story on the demo's data; they are told and run apart."""


def _blocks(page: str) -> list[str]:
    return re.findall(r"^```sh\n(.*?)^```", page, re.MULTILINE | re.DOTALL)


BLOCKS = [block for block in _blocks(README) if STORY not in block]
STORIES = {
    name: story
    for name in ("README.md", "docs/replay.md")
    if (story := "".join(block for block in _blocks((ROOT / name).read_text("utf-8")) if STORY in block))
}
_ENV = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "PYTHONPATH": str(ROOT), "LANG": "C.UTF-8"}
EMIT = next(line for block in BLOCKS for line in block.splitlines() if line.startswith("echo"))


def test_the_touchlog_commands_run(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "tests" / "samples", tmp_path / "tests" / "samples")
    lines = [line for block in BLOCKS for line in block.splitlines() if re.search(r"\btouchlog (?!git)\w", line)]
    commands = [line for line in lines if line.startswith(("touchlog", "echo"))]
    assert len(commands) >= 9
    for command in commands:
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=tmp_path,
            env=_ENV,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        assert "Traceback" not in done.stderr


def test_what_was_emitted_is_on_the_card(tmp_path: Path) -> None:
    script = f"{EMIT}\ntouchlog project --until-caught-up\ntouchlog customer ada@example.org"
    done = subprocess.run(
        ["bash", "-ec", script],
        cwd=tmp_path,
        env=_ENV,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert "Where is my invoice?" in done.stdout


@pytest.mark.parametrize("page", STORIES)
def test_the_story_of_a_changed_rule(page: str, tmp_path: Path) -> None:
    """Every command ends with 0 and the comparison with 1, for it finds what the story tells."""
    shutil.copytree(ROOT / "projections" / "sql", tmp_path / "projections" / "sql")
    commands = STORIES[page].splitlines()
    said = _said(["touchlog demo", _ASK, *commands, _ASK], tmp_path)
    looked = next(told for command, told in said if command.startswith("touchlog diff"))
    for line in (
        r"items +([\d,]+) +\1 +0 +0 +[1-9]\d* +engagement \(",
        r"rank: 1 → 2",
        r"reason: post for invoices: responded to \d of \d since [\d-]+ → post for invoices: the organisation's",
        r"invoices_channel: post → email",
    ):
        assert re.search(line, looked), (line, looked)
    before, after = (told for command, told in said if command == _ASK)
    assert (before == after) is not any(command.startswith("touchlog retire") for command in commands)


_ASK = "touchlog sql --csv --data-dir touchlog-demo \"SELECT version FROM touchlog.projections WHERE name = 'items'\""


def _said(commands: list[str], folder: Path) -> list[tuple[str, str]]:
    """Each command and what it said, in one shell."""
    script = "".join(f'{command}\necho "<$?>"\n' for command in commands)
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=folder,
        env={**_ENV, "COLUMNS": "200"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=280,
        check=True,
    )
    said = re.findall(r"(.*?)<(\d+)>\n", done.stdout, re.DOTALL)
    assert len(said) == len(commands), done.stdout
    for command, (told, code) in zip(commands, said, strict=True):
        assert code == ("1" if command.startswith("touchlog diff") else "0"), (command, told)
        assert "Traceback" not in told
    return [(command, told) for command, (told, _) in zip(commands, said, strict=True)]


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\bmake ([a-z-]+)", README))))
def test_the_make_targets_exist(target: str) -> None:
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\(([^)#:]+)\)", README))))
def test_the_links_lead_somewhere(link: str) -> None:
    assert (ROOT / link).exists()
