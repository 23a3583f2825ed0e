"""The README's commands run as they stand there."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")
BLOCKS = re.findall(r"^```sh\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
EMIT = next(line for block in BLOCKS for line in block.splitlines() if line.startswith("echo"))


def test_the_touchlog_commands_run(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "tests" / "samples", tmp_path / "tests" / "samples")
    bin_dir = Path(sys.executable).parent
    lines = [line for block in BLOCKS for line in block.splitlines() if re.search(r"\btouchlog (?!git)\w", line)]
    commands = [line for line in lines if line.startswith(("touchlog", "echo"))]
    assert len(commands) >= 9
    for command in commands:
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=tmp_path,
            env={"PATH": f"{bin_dir}:/usr/bin:/bin", "LANG": "C.UTF-8"},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        assert "Traceback" not in done.stderr


def test_what_was_emitted_is_on_the_card(tmp_path: Path) -> None:
    bin_dir = Path(sys.executable).parent
    script = f"{EMIT}\ntouchlog project --until-caught-up\ntouchlog customer ada@example.org"
    done = subprocess.run(
        ["bash", "-ec", script],
        cwd=tmp_path,
        env={"PATH": f"{bin_dir}:/usr/bin:/bin", "LANG": "C.UTF-8"},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert "Where is my invoice?" in done.stdout


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\bmake ([a-z-]+)", README))))
def test_the_make_targets_exist(target: str) -> None:
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\(([^)#:]+)\)", README))))
def test_the_links_lead_somewhere(link: str) -> None:
    assert (ROOT / link).exists()
