"""A mistake on the command line in two lines: what was given, what is wrong or was meant, and where to read on."""

import difflib
from collections.abc import Sequence
from typing import Any

from typer.exceptions import TyperException

PLAIN = {
    "Input should be a valid integer, unable to parse string as an integer": "must be a whole number",
    "Input should be a valid number, unable to parse string as a number": "must be a number",
}
"""The library's words for what a person would put shorter."""


def told(error: TyperException, arguments: Sequence[str]) -> str:
    """Return what to print for a mistake that the command line's library has found in `arguments`."""
    context: Any = getattr(error, "ctx", None)
    text = _text(error, arguments, context)
    if context is None:
        return f"fusebox: {text}\n"
    return f"fusebox: {text}\nTry '{context.command_path} --help'.\n"


def _text(error: TyperException, arguments: Sequence[str], context: Any) -> str:
    option = getattr(error, "option_name", None)
    if option is not None and context is not None and str(error.message).startswith("No such option"):
        close = difflib.get_close_matches(option, _options(context), 1, cutoff=0.6)
        return f"no such option: {option}" + (f"; did you mean {close[0]}?" if close else "")
    parameter: Any = getattr(error, "param", None)
    message = error.format_message().rstrip(".")
    if parameter is None:
        text = message.replace(". Did you mean", "; did you mean")
    elif message.startswith("Missing"):
        meaning = str(parameter.help or "").rstrip(".")
        text = f"{message}: {meaning[:1].lower()}{meaning[1:]}" if meaning else message
    else:
        said = PLAIN.get(error.message, error.message).replace("Input should be", "must be").rstrip(".")
        text = f"{_given(parameter, arguments)}: {said[:1].lower()}{said[1:]}"
    return text[:1].lower() + text[1:]


def _options(context: Any) -> list[str]:
    found = [name for parameter in context.command.get_params(context) for name in parameter.opts]
    return [name for name in found if name.startswith("--")]


def _given(parameter: Any, arguments: Sequence[str]) -> str:
    """Return a parameter as it was given: its name, and the value if it can be told which that was."""
    for name in parameter.opts:
        for number, argument in enumerate(arguments):
            if argument == name and number + 1 < len(arguments):
                return f"{name} {arguments[number + 1]}"
            if argument.startswith(f"{name}="):
                return str(argument)
    return str(parameter.opts[0]) if parameter.opts[0].startswith("-") else str(parameter.name).upper()
