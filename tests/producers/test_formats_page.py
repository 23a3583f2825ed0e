"""docs/formats.md: it is what the modules say, and its format of one's own works as it stands there."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from producers.formats import FORMATS
from producers.formats_page import WRITE_ONE, page
from schemas.errors import ConfigurationError

DOCUMENT = (Path(__file__).parents[2] / "docs/formats.md").read_text("utf-8")
OWN = DOCUMENT.partition(WRITE_ONE)[2]
CODE = re.findall(r"^```python\n(.*?)^```$", OWN, re.MULTILINE | re.DOTALL)
ENTRY_POINT = re.findall(r'^(\w+) = "(\w+):(\w+)"$', OWN, re.MULTILINE)

FAX = {"fax_id": "fx-1", "direction": "in", "from": "+46700000001", "at": "2026-03-02T09:14:05Z", "status": "received"}


def test_the_page_is_what_the_modules_say():
    assert DOCUMENT.partition(WRITE_ONE)[0] == page() + "\n"


def test_the_page_names_every_format():
    for known in FORMATS:
        assert f"## {known.channel} {known.name}\n" in DOCUMENT


def a_package(folder, code, name="fax", module="fax_gateway", attribute="FORMAT"):
    (folder / f"{module}.py").write_text(code, encoding="utf-8")
    info = folder / f"{name}-0.1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.1\n", encoding="utf-8")
    (info / "entry_points.txt").write_text(f"[touchlog.formats]\n{name} = {module}:{attribute}\n", encoding="utf-8")


def touchlog(folder, *words):
    return subprocess.run(
        [sys.executable, "-c", "from touchlog.cli import main; main()", *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), str(Path(__file__).parents[2])])},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_format_of_ones_own_is_short_and_works(tmp_path):
    [code] = CODE
    [(name, module, attribute)] = ENTRY_POINT
    assert len(code.splitlines()) < 60
    a_package(tmp_path, code, name, module, attribute)
    lines = [FAX, {**FAX, "fax_id": "fx-2", "status": "eaten"}, {**FAX, "fax_id": None}]
    (tmp_path / "faxes.jsonl").write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")

    printed = touchlog(tmp_path, "produce", "post", "faxes.jsonl", "--dry-run")

    [event] = [json.loads(line) for line in printed.stdout.splitlines()]
    assert (event["type"], event["message_ref"]) == ("reply.received", "fax/fx-1")
    assert "faxes.jsonl:2: rejected: status: not one that this gateway documents" in printed.stderr
    assert "faxes.jsonl:3: rejected: fax_id: missing" in printed.stderr
    assert "a fax gateway's webhook" in touchlog(tmp_path, "formats", "post").stdout


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("raise RuntimeError('broken')", "cannot be loaded: RuntimeError"),
        ("FORMAT = 17", "is no producers.format.Format"),
        ("from producers.email.sendgrid import FORMAT", "the name of another"),
    ],
)
def test_a_package_that_registers_something_else_is_named(tmp_path, code, said):
    a_package(tmp_path, code)
    ended = touchlog(tmp_path, "formats")
    assert ended.returncode == ConfigurationError.exit_code
    assert "fax" in ended.stderr
    assert said in ended.stderr.replace("\n", " ")
