"""The repository's own layout: nothing shadows its packages, nothing of one machine is in it."""

import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = ("schemas", "producers", "log", "consumers", "projections", "touchlog")


def test_no_installed_package_shadows_ours() -> None:
    owners = packages_distributions()
    for package in PACKAGES:
        assert set(owners.get(package, [])) <= {"touchlog"}, package
        imported = subprocess.run(
            [sys.executable, "-c", f"import {package}; print({package}.__file__)"],
            check=True,
            capture_output=True,
            text=True,
        )
        assert Path(imported.stdout.strip()).is_relative_to(ROOT)


def test_only_settings_reads_the_environment() -> None:
    readers = [
        str(path.relative_to(ROOT))
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
        if "os.environ" in (text := path.read_text("utf-8")) or "os.getenv" in text
    ]
    assert readers in ([], ["touchlog/settings.py"])


def test_no_file_is_longer_than_500_lines() -> None:
    long = [
        str(path.relative_to(ROOT))
        for package in (*PACKAGES, "tests")
        for path in (ROOT / package).rglob("*.py")
        if len(path.read_text("utf-8").splitlines()) > 500
    ]
    assert not long
