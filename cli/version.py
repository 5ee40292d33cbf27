"""Which release of the program this is."""

from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PYPROJECT = Path(__file__).resolve().parent.parent / "pyproject.toml"


def program_version() -> str:
    """Return the version of the installed package, or the one that the checkout states where nothing is installed."""
    try:
        return version("fusebox")
    except PackageNotFoundError:
        import tomllib  # noqa: PLC0415 -- only where nothing is installed

        return str(tomllib.loads(PYPROJECT.read_text())["project"]["version"])
