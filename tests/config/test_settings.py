"""Settings: layers, ranges, and errors that a person can act on."""

from decimal import Decimal
from pathlib import Path

import pytest
from pydantic import ValidationError

from config.load import VARIABLES, ConfigError, load_settings
from config.settings import Settings


def test_nothing_given_is_the_demo_on_paper() -> None:
    settings = load_settings({})
    assert (settings.profile, settings.mode, settings.window_s, settings.world) == ("demo", "paper", 60, "lagged")
    assert settings.assets == ("BTC", "ETH", "SOL", "XRP")
    assert (settings.starting_cash, settings.trade_size) == (10_000_000_000, 100_000_000)
    assert settings.clob_url is None


def test_the_real_profile_names_the_public_venues() -> None:
    settings = load_settings({"FUSEBOX_PROFILE": "real"})
    assert settings.window_s == 900
    assert settings.clob_ws_url == "wss://ws-subscriptions-clob.polymarket.com/ws/market"
    assert all(getattr(settings, name) for name in Settings.model_fields if name.endswith("_url") and name not in {
        "database_url", "discord_webhook_url",
    })  # fmt: skip


def test_each_layer_covers_the_one_below(tmp_path: Path) -> None:
    env_file = tmp_path / ".env"
    env_file.write_text("FUSEBOX_WINDOW_S=90\nFUSEBOX_SEED=1\nFUSEBOX_ASSETS=BTC\n")
    settings = load_settings({"FUSEBOX_SEED": "2", "FUSEBOX_ASSETS": "eth, sol"}, {"assets": ("XRP",)}, env_file)
    assert (settings.window_s, settings.seed, settings.assets) == (90, 2, ("XRP",))


def test_an_empty_variable_and_an_unused_option_count_as_unset() -> None:
    settings = load_settings({"DATABASE_URL": "", "FUSEBOX_SEED": ""}, {"seed": None})
    assert settings.database_url is None
    assert settings.seed == 0


def test_settings_are_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        load_settings({}).seed = 3


@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        ("FUSEBOX_WINDOW_S", "5", "20 to 900 s"),
        ("FUSEBOX_WINDOW_S", "a minute", "20 to 900 s"),
        ("FUSEBOX_ASSETS", "BTC,DOGE", "BTC,ETH,SOL,XRP"),
        ("FUSEBOX_ASSETS", "BTC,BTC", "each of them once"),
        ("FUSEBOX_PROFILE", "prod", "demo (embedded exchange) or real (public)"),
        ("FUSEBOX_STARTING_CASH_USD", "nan", "dollars"),
        ("FUSEBOX_TRADE_SIZE_USD", "0.5", "1 to 1,000,000"),
        ("FUSEBOX_TRADE_SIZE_USD", "20000", "FUSEBOX_STARTING_CASH_USD"),
        ("FUSEBOX_MIN_SECONDS_LEFT_TO_OPEN", "100", "FUSEBOX_EXIT_SECONDS_BEFORE_CLOSE"),
        ("FUSEBOX_CLOB_URL", "polymarket", "embedded exchange"),
        ("FUSEBOX_LOG_LEVEL", "loud", "DEBUG, INFO"),
        ("FUSEBOX_SAMPLE_ACTIONS", "perhaps", "true"),
    ],
)
def test_a_bad_value_is_one_line_with_variable_value_and_remedy(variable: str, value: str, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_settings({variable: value})
    (line,) = str(caught.value).splitlines()
    assert line.startswith(f"{variable}={value}")
    assert says in line
    assert caught.value.__cause__ is None


def test_every_bad_setting_is_named_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        load_settings({"FUSEBOX_WINDOW_S": "5", "FUSEBOX_SEED": "-1"})
    assert [line.split("=")[0] for line in str(caught.value).splitlines()] == ["FUSEBOX_WINDOW_S", "FUSEBOX_SEED"]


@pytest.mark.parametrize(
    ("unknown", "meant"),
    [("FUSEBOX_WINDOWS_S", "FUSEBOX_WINDOW_S"), ("FUSEBOX_DATABASE_URL", "DATABASE_URL"), ("FUSEBOX_QQQ", "config")],
)
def test_an_unknown_variable_is_refused_by_name(unknown: str, meant: str) -> None:
    with pytest.raises(ConfigError, match=rf"^{unknown}: there is no such setting; .*{meant}"):
        load_settings({unknown: "1"})


def test_an_unknown_override_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match=r"^windows: there is no such setting$"):
        load_settings({}, {"windows": 1})


def test_the_real_venue_has_windows_of_900_seconds_only() -> None:
    with pytest.raises(ConfigError, match=r"^FUSEBOX_WINDOW_S=60: the real venue"):
        load_settings({"FUSEBOX_PROFILE": "real", "FUSEBOX_WINDOW_S": "60"})


def test_no_secret_shows_anywhere() -> None:
    url, hook = "postgresql://u:hunter2@h/n", "https://discord.com/api/webhooks/1/hunter2"
    settings = load_settings({"DATABASE_URL": url, "DISCORD_WEBHOOK_URL": hook})
    assert settings.database_url is not None
    assert settings.database_url.get_secret_value() == url
    assert "hunter2" not in f"{settings} {settings!r} {settings.public()} {settings.model_dump_json()}"
    assert settings.public()["database_url"] == "set"
    for bad in ({"DATABASE_URL": "mysql://u:hunter2@h/n"}, {"DISCORD_WEBHOOK_URL": "http://hunter2"}):
        with pytest.raises(ConfigError) as caught:
            load_settings(bad)
        assert "hunter2" not in str(caught.value)
        assert str(caught.value).startswith(f"{next(iter(bad))}=(not shown): not ")


def test_spans_shrink_with_the_window_and_staleness_has_a_floor() -> None:
    demo, real = load_settings({}), load_settings({"FUSEBOX_PROFILE": "real"})
    assert (real.exit_before_close_s, demo.exit_before_close_s) == (120, 8)
    assert (real.open_needs_s, demo.open_needs_s) == (180, 12)
    assert (real.book_stale_after_s, demo.book_stale_after_s) == (30, 2)
    assert demo.flow_stale_after_s == 2


def test_dollars_are_exact() -> None:
    assert load_settings({"FUSEBOX_TRADE_SIZE_USD": "33.333333"}).trade_size == 33_333_333
    assert load_settings({}, {"trade_size_usd": Decimal("1.1")}).trade_size == 1_100_000


def test_every_setting_says_what_it_is_and_appears_in_the_example_file() -> None:
    example = (Path(__file__).resolve().parents[2] / ".env.example").read_text()
    for name, field in Settings.model_fields.items():
        assert field.description, name
        assert f"{VARIABLES[name]}=" in example, name


def test_relative_folders_start_at_the_project() -> None:
    root = Path(__file__).resolve().parents[2]
    assert load_settings({}).state_dir == root / ".fusebox"
    assert load_settings({"FUSEBOX_STATE_DIR": "elsewhere"}).state_dir == root / "elsewhere"
