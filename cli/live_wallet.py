"""The wallet that the settings name for live trading, or everything that they lack for it."""

import stat

from config.load import VARIABLES, ConfigError
from config.settings import REAL_MONEY, Settings
from venues.polymarket.credentials import Secret, Wallet

OTHERS_MAY_READ = stat.S_IRWXG | stat.S_IRWXO


def refusals(settings: Settings) -> list[str]:
    """Return what the settings lack for live trading, one line each."""
    lines = []
    if settings.live_opt_in != REAL_MONEY:
        lines.append(f"no opt-in: set {VARIABLES['live_opt_in']}={REAL_MONEY} to have orders sent with real money")
    if settings.private_key is None and settings.private_key_file is None:
        lines.append(f"no key: set {VARIABLES['private_key_file']} (or {VARIABLES['private_key']})")
    if settings.funder is None:
        lines.append(f"no funder: set {VARIABLES['funder']} to the address whose dollars are to be used")
    if settings.signature_type is None:
        lines.append(f"no signature type: set {VARIABLES['signature_type']} to 0 (plain), 1 (proxy), 2 (Safe) or 3")
    if "trade_size_usd" not in settings.model_fields_set:
        lines.append(f"no limit chosen: set {VARIABLES['trade_size_usd']} to the dollars of a full-size position")
    return lines


def wallet_of(settings: Settings) -> Wallet:
    """Return the wallet that the settings name.

    Raises:
        ConfigError: something is missing, or the key's file is not ours alone.
    """
    lines = refusals(settings)
    if lines:
        raise ConfigError("\n".join(f"mode {settings.mode} is refused: {line}" for line in lines))
    return Wallet(_private_key(settings), settings.signature_type or 0, settings.funder)


def _private_key(settings: Settings) -> Secret:
    if settings.private_key_file is None:
        assert settings.private_key is not None  # noqa: S101 -- `refusals` has seen to it
        return Secret(settings.private_key.get_secret_value())
    path = settings.private_key_file
    try:
        if path.stat().st_mode & OTHERS_MAY_READ:
            raise ConfigError(f"{VARIABLES['private_key_file']}={path}: others may read it: chmod 600 {path}")
        return Secret(path.read_text(encoding="ascii").strip())
    except OSError as error:
        raise ConfigError(f"{VARIABLES['private_key_file']}={path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError:
        raise ConfigError(f"{VARIABLES['private_key_file']}={path}: holds no key in hexadecimal digits") from None
