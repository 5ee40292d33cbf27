"""The wallet that the settings name for live trading, or everything that they lack for it."""

import stat

from config.load import VARIABLES, ConfigError
from config.settings import REAL_MONEY, Settings
from core.errors import FatalError
from venues.polymarket.credentials import Secret, Wallet, key_bytes

OTHERS_MAY_READ = stat.S_IRWXG | stat.S_IRWXO


def refusals(settings: Settings) -> list[str]:
    """Return what the settings lack for live trading, one line each."""
    lines = []
    if settings.live_opt_in != REAL_MONEY:
        lines.append(f"no opt-in: set {VARIABLES['live_opt_in']}={REAL_MONEY} to have orders sent with real money")
    if settings.private_key is None and settings.private_key_file is None:
        lines.append(f"no key: set {VARIABLES['private_key_file']} (or {VARIABLES['private_key']})")
    if settings.private_key is not None and settings.private_key_file is not None:
        lines.append(f"two keys: unset {VARIABLES['private_key']} or {VARIABLES['private_key_file']}")
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
        ConfigError: something is missing, the key's file is not ours alone, or holds no key.
    """
    lines = refusals(settings)
    if lines:
        raise ConfigError("\n".join(f"mode {settings.mode} is refused: {line}" for line in lines))
    private_key, where = _private_key(settings)
    try:
        key_bytes(private_key)
    except FatalError as error:
        raise ConfigError(f"{where}: {error}") from None
    return Wallet(private_key, settings.signature_type or 0, settings.funder)


def _private_key(settings: Settings) -> tuple[Secret, str]:
    """Return the key and where it comes from, as an error names it."""
    if settings.private_key_file is None:
        assert settings.private_key is not None  # noqa: S101 -- `refusals` has seen to it
        return Secret(settings.private_key.get_secret_value()), VARIABLES["private_key"]
    path = settings.private_key_file
    where = f"{VARIABLES['private_key_file']}={path}"
    try:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode):
            raise ConfigError(f"{where}: is no file: name the file that holds the key")
        if mode & OTHERS_MAY_READ:
            raise ConfigError(f"{where}: others may read it: chmod 600 {path}")
        return Secret(path.read_text(encoding="ascii").strip()), where
    except OSError as error:
        raise ConfigError(f"{where}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError:
        raise ConfigError(f"{where}: holds no key in hexadecimal digits") from None
