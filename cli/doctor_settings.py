"""What `doctor` finds in the settings: limits in dollars and seconds of this run, policy, alerts, the web page."""

import stat
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from cli.doctor_line import Line, note, ok, problem
from config.load import VARIABLES, Problem
from config.settings import SECRETS, Settings
from config.sources import ENV_FILE, Layers
from core.errors import FuseboxError
from core.trading.money import MICRO, decimal
from web.access import is_loopback

LEAST_SHARES = 5
"""The venue's smallest order."""
LEAST_SIZE = 0.25
"""Part of the trade size that the least confident opening is for."""
TICK_USD = 0.01
OTHERS_MAY_READ = stat.S_IRWXG | stat.S_IRWXO


def settings_lines(settings: Settings, problems: Sequence[Problem], layers: Layers, env_file: Path) -> list[Line]:
    """Return each setting that cannot be used, or that all can."""
    lines = [problem("settings", *_split(each.line)) for each in problems]
    if lines:
        lines.append(note("settings", "the rest is checked as if these had not been set"))
    else:
        lines.append(ok("settings", f"profile {settings.profile}, mode {settings.mode}, {' '.join(settings.assets)}"))
    return lines + list(_env_file(layers, env_file))


def limit_lines(settings: Settings) -> list[Line]:
    """Return what the limits come to, and which of them cannot do what they are for."""
    usd = partial(_usd)
    sizes = (
        f"a full-size position is {usd(settings.trade_size)}; at most {usd(settings.max_position)} in one, "
        f"{usd(settings.max_asset_exposure)} in an asset, {usd(settings.max_exposure)} in all, "
        f"{settings.max_positions} positions, {settings.max_orders_per_minute} openings a minute"
    )
    trips = [f"{usd(settings.max_daily_loss)} lost since midnight UTC", f"{usd(settings.max_drawdown)} below the best"]
    if settings.max_consecutive_losses:
        trips.append(f"{settings.max_consecutive_losses} losses in a row")
    if settings.max_order_failures:
        trips.append(f"{settings.max_order_failures} failed orders in a row")
    age_s = settings.max_position_age_s * settings.scale
    times = (
        f"in windows of {settings.window_s} s: opens until {settings.open_needs_s:g} s before the close, sells "
        f"{settings.exit_before_close_s:g} s before it{f' or after {age_s:g} s' if age_s else ''}; a book is stale "
        f"after {settings.book_stale_after_s:g} s, sold on after {settings.book_exit_after_s:g} s"
    )
    lines = [ok("limits", sizes), ok("kill switch", f"trips at {', '.join(trips)}"), ok("times", times)]
    return lines + list(_ineffective(settings))


def watching_lines(settings: Settings) -> list[Line]:
    """Return who is told of what happens: alert channels, the web page, metrics. Sends nothing."""
    return [_alerts(settings), *_page(settings)]


def policy_lines(settings: Settings) -> list[Line]:
    """Return whether what decides can be loaded; needs a working MLX."""
    # MLX may not be there: then another line says so, and this is not asked
    from cli.policy_choice import choice_of  # noqa: PLC0415
    from cli.policy_files import policy_in  # noqa: PLC0415
    from cli.training_profile import read_profile  # noqa: PLC0415

    try:
        lines = [ok("policy", choice_of(settings).source)]
        if settings.shadow is not None:
            policy_in(settings.shadow)
            lines.append(ok("policy", f"{settings.shadow.name} is asked beside"))
        if settings.learns:
            read_profile(Path(settings.learning_profile))
    except FuseboxError as error:
        named = ", ".join(VARIABLES[name] for name in ("weights", "shadow", "learning_profile"))
        return [problem("policy", str(error), f"correct or unset one of {named}")]
    return lines


def _ineffective(settings: Settings) -> Iterator[Line]:
    cash = settings.starting_cash
    if settings.mode == "paper" and settings.max_exposure > cash:
        yield note(
            "limits", f"at most {_usd(settings.max_exposure)} at cost, of {_usd(cash)} paper cash: never reached"
        )
    if settings.mode == "paper" and settings.max_daily_loss > cash:
        yield note("kill switch", f"a day's loss of {_usd(settings.max_daily_loss)} is more than the paper cash")
    if settings.max_daily_loss > settings.max_drawdown:
        yield note("kill switch", "the drawdown trips before the day's loss can")
    off = [name for name in ("max_consecutive_losses", "max_order_failures") if not getattr(settings, name)]
    if off:
        yield note("kill switch", f"switched off: {', '.join(VARIABLES[name] for name in off)}")
    smallest_usd = float(settings.trade_size) / MICRO * LEAST_SIZE
    if smallest_usd < LEAST_SHARES * float(settings.max_price_to_open_usd):
        yield note(
            "limits",
            f"the least confident opening is for {smallest_usd:g} USD: above a price of "
            f"{smallest_usd / LEAST_SHARES:.2f} that is less than the venue's {LEAST_SHARES} shares, and refused",
            f"raise {VARIABLES['trade_size_usd']}",
        )
    if settings.max_slippage_ticks * TICK_USD > float(settings.max_slippage_usd):
        yield note(
            "limits",
            f"{settings.max_slippage_ticks} ticks may be {settings.max_slippage_ticks * TICK_USD:.2f} USD a share, "
            f"more than {VARIABLES['max_slippage_usd']} allows: such orders are refused",
            f"lower {VARIABLES['max_slippage_ticks']}",
        )


def _alerts(settings: Settings) -> Line:
    from cli.alerting import channels_of  # noqa: PLC0415 -- with it comes the actors' part of it

    try:
        channels_of(settings)
    except FuseboxError as error:
        return problem("alerts", *_split(str(error)))
    names = [name for name, _ in settings.channel_urls]
    if not names:
        return note(
            "alerts", "no channel: they are only in the table alerts", "set DISCORD_WEBHOOK_URL (docs/alerts.md)"
        )
    return ok("alerts", f"{settings.alert_level} and above to {', '.join(names)}; nothing was sent to try it")


def _page(settings: Settings) -> Iterator[Line]:
    host, protected = settings.dashboard_host, settings.dashboard_password is not None
    if not is_loopback(host) and not protected:
        yield problem(
            "web page", f"others than this host reach {host}, without a password",
            f"set {VARIABLES['dashboard_password']}, or serve it at 127.0.0.1",
        )  # fmt: skip
    else:
        where = f"{host}:{settings.dashboard_port}, {'with' if protected else 'without'} a password"
        yield ok("web page", f"{'served by `run`' if settings.dashboard else 'not served by `run`'}, at {where}")
    if settings.metrics_port is not None and not is_loopback(settings.metrics_host):
        yield note("metrics", f"anybody who reaches {settings.metrics_host} reads them: they have no password")


def _env_file(layers: Layers, env_file: Path) -> Iterator[Line]:
    filed = [VARIABLES[name] for name in sorted(SECRETS) if layers.source(name) == ENV_FILE]
    if filed and env_file.exists() and env_file.stat().st_mode & OTHERS_MAY_READ:
        yield note("settings", f"others may read {env_file}, which has {', '.join(filed)}", f"chmod 600 {env_file}")


def _usd(units: int) -> str:
    return f"{decimal(units).normalize():,f} USD"


def _split(line: str) -> tuple[str, str]:
    for mark in ("; expected: ", "; ", ": "):
        text, found, remedy = line.rpartition(mark)
        if found:
            return text, f"expected: {remedy}" if "expected" in mark else remedy
    return line, "see docs/configuration.md"
