"""The command as people meet it: help, mistakes, exit codes, completion."""

import json
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from schemas import errors
from touchlog.cli import SECTIONS, Sections, cli
from touchlog.options import _OPTIONS
from touchlog.settings import Settings

COMMANDS = [name for names in SECTIONS.values() for name in names]
HEAVY = ("duckdb", "pyarrow", "pydantic", "rich", "httpx", "uvicorn", "starlette", "confluent_kafka", "phonenumbers")


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("TOUCHLOG_")]:
        monkeypatch.delenv(name)


def run(*arguments: str, stdin: str | bytes | None = None) -> Result:
    return CliRunner().invoke(cli, list(arguments), input=stdin, prog_name="touchlog")


def test_help_lists_every_command_under_its_heading():
    said = run("--help")
    assert said.exit_code == 0
    for section, names in SECTIONS.items():
        if names:
            assert f"\n{section}:\n  {names[0]}" in said.output
    for name in COMMANDS:
        assert f"\n  {name} " in said.output
    assert "Examples:" in said.output
    assert said.output == run("-h").output


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself_and_its_settings(name: str):
    said = run(name, "--help")
    assert said.exit_code == 0
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    assert command.help
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, parameter.name
            assert parameter.opts[0] in said.output


def test_every_setting_that_is_an_option_is_a_setting():
    assert set(_OPTIONS) <= set(Settings.model_fields)


def test_the_version_is_the_packages():
    from importlib.metadata import version

    assert run("--version").output == f"touchlog {version('touchlog')}\n"


def test_help_loads_nothing_heavy():
    """Starting has to be quick: what takes long to import waits until a command needs it."""
    code = f"""
import sys
from touchlog.cli import cli
cli.main(["--help"], prog_name="touchlog", standalone_mode=False)
print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == "[]\n"


@pytest.mark.parametrize(
    ("arguments", "exit_code", "said"),
    [
        (["nothing"], 2, "No such command 'nothing'"),
        (["sql"], 2, "Missing argument 'QUERY'"),
        (["produce", "fax", "a"], 2, "'fax' is not one of 'email', 'chat', 'phone', 'post', 'social'"),
        (["produce", "email"], 2, "Missing argument"),
        (["produce", "email", "none.eml"], 2, "touchlog: there is no file or folder none.eml"),
        (["produce", "email", "--format", "nothing", "x"], 2, "--format rfc5322 for messages"),
        (["produce", "phone", "x.csv", "--column", "customer"], 2, "write FIELD=COLUMN"),
        (["sql", "SELECT 1"], 2, "touchlog: no store at touchlog-data/views.duckdb; type: touchlog project"),
        (["customer", "ada@example.org"], 2, "touchlog: no store at"),
        (["customer", ""], 2, "no contact point was given; type for example"),
        (["status"], 2, "touchlog: no store at"),
        (["log"], 2, "touchlog: there is no log at touchlog-data/log.sqlite"),
        (["log", "--log", "http://localhost"], 2, "touchlog: a log cannot be opened over http://"),
        (["log", "--config", "none.toml"], 2, "touchlog: there is no settings file at none.toml"),
        (["sql", "SELECT 1", "--timeout", "0"], 2, "touchlog: --query-timeout: input should be greater than 0"),
        (["project", "--store", "touchlog.duckdb"], 2, "touchlog: --store: a store cannot be named"),
        (["completion", "cmd"], 2, "'cmd' is not one of 'bash', 'zsh', 'fish'"),
    ],
)
def test_a_mistake_is_one_message_on_standard_error(arguments: list[str], exit_code: int, said: str):
    done = run(*arguments)
    assert done.exit_code == exit_code
    assert said in " ".join(done.stderr.split())
    assert done.stdout == ""
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "kind",
    [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.TouchlogError)],
)
def test_every_error_ends_with_its_message_and_its_exit_code(kind: type[errors.TouchlogError]):
    done = CliRunner().invoke(_failing(kind("what happened; type this")), ["fail"])
    assert (done.exit_code, done.stderr, done.stdout) == (kind.exit_code, "touchlog: what happened; type this\n", "")


def test_an_unexpected_error_tells_its_kind_and_never_its_text():
    failing = _failing(ValueError("what a customer wrote"))
    done = CliRunner().invoke(failing, ["fail"])
    assert done.exit_code == 70
    assert done.stderr == (
        "touchlog: an unexpected ValueError: a fault of touchlog; to see where, type touchlog --traceback …\n"
    )
    shown = CliRunner().invoke(failing, ["--traceback", "fail"])
    assert isinstance(shown.exception, ValueError)
    assert CliRunner().invoke(_failing(KeyboardInterrupt()), ["fail"]).exit_code == 130


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_completion_script_is_of_the_shell(shell: str):
    done = run("completion", shell)
    assert done.exit_code == 0
    assert f"_TOUCHLOG_COMPLETE={shell}_complete" in done.stdout


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("touchlog pro", {"produce", "project"}),
        ("touchlog produce ", {"email", "chat", "phone", "post", "social"}),
        ("touchlog produce email --format s", {"sendgrid", "ses", "sparkpost"}),
        ("touchlog completion ", {"bash", "zsh", "fish"}),
    ],
)
def test_the_shell_completes_commands_channels_and_formats(words: str, offered: set[str]):
    script = Path(sys.executable).with_name("touchlog")
    done = subprocess.run(
        [str(script)], capture_output=True, text=True, check=True,
        env={**os.environ, "_TOUCHLOG_COMPLETE": "bash_complete", "COMP_WORDS": words,
             "COMP_CWORD": str(len(words.split(" ")) - 1)},
    )  # fmt: skip
    assert {line.partition(",")[2] for line in done.stdout.splitlines()} == offered


def test_a_closed_pipe_is_no_error():
    script = Path(sys.executable).with_name("touchlog")
    process = subprocess.Popen([str(script), "formats", "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    with process.stderr as stream:
        assert b"Traceback" not in stream.read()
    process.wait()


def test_formats_are_listed_by_channel():
    table = run("formats")
    assert table.exit_code == 0
    found = json.loads(run("formats", "--json").stdout)
    assert {row["channel"] for row in found} == {"email", "chat", "phone", "post", "social"}
    for row in found:
        assert row["name"] in table.stdout


def _failing(error: BaseException) -> click.Group:
    class Failing(Sections):
        def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command:  # noqa: ARG002 (the form is click's)
            def fail() -> None:
                raise error

            return click.Command(cmd_name, callback=fail)

    return Failing(params=[click.Option(["--traceback"], is_flag=True)], callback=lambda **_: None)
