"""The profile that a policy is trained by: features, windows, how is traded, and PPO's hyperparameters, from TOML."""

from pathlib import Path
from typing import Literal

import msgspec

from cli.rollout import Terms
from cli.usage import UsageError
from core.market.features import SCHEMAS, FeatureSchema
from core.trading.limits import EXIT_BEFORE_S
from core.trading.money import micros
from models.ppo.hyper import Hyperparameters

FOLDER = Path(__file__).resolve().parents[1] / "config" / "learning"
SHIPPED = FOLDER / "shipped.toml"

Exit = Literal["t-2", "settlement"]
Entry = Literal["taker", "passive"]


class Profile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One profile; `config/learning` says what each field is."""

    schema: str
    assets: tuple[str, ...]
    window_s: int
    episode_windows: int
    trade_size_usd: float
    exit: Exit
    ppo: Hyperparameters

    @property
    def feature_schema(self) -> FeatureSchema:
        """The newest version of the named feature schema."""
        return max((s for s in SCHEMAS.values() if s.name == self.schema), key=lambda schema: schema.version)

    @property
    def terms(self) -> Terms:
        """How is traded while learning: actions are drawn."""
        return terms_of(self.trade_size_usd, self.exit, sample=True)


def terms_of(trade_size_usd: float, exit_rule: Exit, entry: Entry = "taker", *, sample: bool = False) -> Terms:
    """Return terms for a trade size in dollars, the rule by which positions end, and how they begin."""
    before_s = float(EXIT_BEFORE_S) if exit_rule == "t-2" else None
    return Terms(
        trade_size_usd=micros(trade_size_usd), exit_before_s=before_s, sample=sample, passive=entry == "passive"
    )


def read_profile(path: Path) -> Profile:
    """Return the profile in a TOML file, or one of `config/learning` by its name.

    Raises:
        UsageError: it is missing, does not parse, or holds a value that cannot be used.
    """
    named = FOLDER / f"{path}.toml"
    file = named if not path.exists() and named.exists() else path
    try:
        profile = msgspec.toml.decode(file.read_bytes(), type=Profile)
    except OSError as error:
        known = ", ".join(sorted(each.stem for each in FOLDER.glob("*.toml")))
        raise UsageError(f"profile {path}: {error.strerror}; give a TOML file, or one of {known}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"profile {file}: {error}") from error
    if profile.schema not in {schema.name for schema in SCHEMAS.values()}:
        known = ", ".join(sorted({schema.name for schema in SCHEMAS.values()}))
        raise UsageError(f"profile {file}: schema {profile.schema!r} is not known: give one of {known}")
    return profile
