"""A mistake on the command line: one line that names it, what was meant, and where to read on; exit code 2."""

import pytest

from tests.commands.conftest import Command


@pytest.mark.parametrize(
    ("line", "said", "of"),
    [
        ("stauts", "no such command 'stauts'; did you mean 'status', 'restart'?", ""),
        ("checkpoints lst", "no such command 'lst'; did you mean 'list'?", " checkpoints"),
        ("status --jsno", "no such option: --jsno; did you mean --json?", " status"),
        ("status --zzz", "no such option: --zzz", " status"),
        ("report --session x", "--session x: must be a whole number", " report"),
        ("report --session=x", "--session=x: must be a whole number", " report"),
        ("migrate --down 0", "--down 0: must be greater than or equal to 1", " migrate"),
        ("restart", "missing argument 'name': an asset (BTC) or an actor (executor)", " restart"),
        ("resume", "missing option '--reason': why it may go on; recorded", " resume"),
        ("status now", "got unexpected extra argument(s) (now)", " status"),
    ],
)
def test_a_mistake_is_two_lines(
    line: str, said: str, of: str, command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(*line.split()) == 2

    out, told = capsys.readouterr()
    assert out == ""
    assert told == f"fusebox: {said}\nTry 'python supervisor.py{of} --help'.\n"


def test_a_setting_is_called_what_it_was_given_as(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("run", "--window-s", "7") == 2
    assert capsys.readouterr().err.startswith("fusebox: --window-s 7: must be greater than or equal to 20; expected:")

    assert command("run", FUSEBOX_WINDOW_S="7") == 2
    assert capsys.readouterr().err.startswith("fusebox: FUSEBOX_WINDOW_S=7: must be")


def test_each_problem_is_a_line_of_its_own(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("run", "--mode", "live") == 2

    lines = capsys.readouterr().err.splitlines()
    assert len(lines) > 3
    assert all(line.startswith("fusebox: mode live is refused: ") for line in lines)


def test_without_a_command_there_is_help_and_an_exit_code(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in ((), ("checkpoints",), ("config",)):
        assert command(*arguments) == 2
        assert "Usage: python supervisor.py" in "".join(capsys.readouterr())


def test_the_version_is_the_packages(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("--version") == 0
    assert capsys.readouterr().out.split()[0] == "fusebox"
