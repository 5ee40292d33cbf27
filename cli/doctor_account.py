"""What `doctor` finds of the key and the account that live trading would use. Reads only; no key is ever shown."""

from collections.abc import Callable

from cli.doctor_line import Line, note, ok, problem
from cli.exchange import Endpoints
from cli.live_wallet import refusals, wallet_of
from config.load import VARIABLES, ConfigError
from config.settings import Settings
from core.errors import FuseboxError, TransientError
from core.trading.money import decimal
from venues.polymarket.credentials import Wallet

TOPIC, ACCOUNT = "key", "account"


def key_lines(settings: Settings) -> tuple[list[Line], Wallet | None]:
    """Return what is to be said of the key, and the wallet if orders can be signed with it."""
    if settings.mode == "paper":
        return [_unused(settings)], None
    lacking = refusals(settings)
    if lacking:
        return [problem(TOPIC, *_split(line)) for line in lacking], None
    try:
        wallet = wallet_of(settings)
    except ConfigError as error:
        return [problem(TOPIC, *_split(str(error).removeprefix(f"mode {settings.mode} is refused: ")))], None
    # with them come the vendor's packages: seconds that only live trading has a use for
    from venues.polymarket.preflight import wallet_problems  # noqa: PLC0415
    from venues.polymarket.signing import funder_address, signer_address  # noqa: PLC0415

    wrong = wallet_problems(wallet)
    if wrong:
        return [problem(TOPIC, f"{each.subject}: {each.text}", each.remedy) for each in wrong], None
    where = VARIABLES["private_key_file" if settings.private_key_file is not None else "private_key"]
    said = f"{where} signs as {signer_address(wallet)}, uses the dollars of {funder_address(wallet)}"
    lines = [ok(TOPIC, f"{said}, signature type {wallet.signature_type}")]
    if settings.private_key is not None:
        remedy = f"put it in a file of yours alone and name that by {VARIABLES['private_key_file']}"
        lines.append(note(TOPIC, f"{where} is in the environment, which child processes and dumps see", remedy))
    return lines, wallet


def account_lines(settings: Settings, wallet: Wallet, endpoints: Endpoints, now_ms: Callable[[], int]) -> list[Line]:
    """Return what the venue says of the account: order version, API key, dollars, allowance. Blocks."""
    from venues.polymarket.account import Account  # noqa: PLC0415 -- see above
    from venues.polymarket.auth import Level2  # noqa: PLC0415
    from venues.polymarket.connection import Connections  # noqa: PLC0415
    from venues.polymarket.keys import Keys  # noqa: PLC0415
    from venues.polymarket.preflight import account_problems  # noqa: PLC0415
    from venues.polymarket.session import Session  # noqa: PLC0415
    from venues.polymarket.signing import signer_address  # noqa: PLC0415
    from venues.polymarket.versions import negotiate, order_format  # noqa: PLC0415
    from venues.rest import Rest  # noqa: PLC0415

    rest, connections = Rest(endpoints.clob), Connections(endpoints.clob)
    try:
        version = negotiate(rest)
        orders = order_format(version, wallet)
        key = Keys(connections, wallet, now_ms).derived()
        if key is None:
            return [
                note(
                    ACCOUNT, "no API key yet: dollars and allowance were not checked", "the first live start makes one"
                )
            ]
        session = Session(connections, Level2(signer_address(wallet), key, now_ms))
        account = Account(session, wallet.signature_type)
        spender = orders.exchange(neg_risk=False)
        wrong = account_problems(account, wallet, spender, settings.trade_size)
        if wrong:
            return [problem(each.subject, each.text, each.remedy) for each in wrong]
        cash = account.cash()
    except TransientError as error:
        return [problem(ACCOUNT, f"cannot be asked: {error}", "try again later; see the lines of the venue above")]
    except FuseboxError as error:
        return [problem(ACCOUNT, *_split(str(error)))]
    finally:
        rest.close()
        connections.close()
    allowance = cash.allowance(spender)
    said = f"{decimal(cash.units):,.2f} USD, the exchange may take {_amount(allowance)}, order version {version}"
    return [ok(ACCOUNT, said)]


def _amount(units: int) -> str:
    return "any amount" if units > 10**18 else f"{decimal(units):,.2f} USD"


def _unused(settings: Settings) -> Line:
    given = [name for name in ("private_key", "private_key_file") if getattr(settings, name) is not None]
    if not given:
        return ok(TOPIC, "none, and paper trading needs none")
    return note(TOPIC, f"{VARIABLES[given[0]]} is set and not used: mode is paper")


def _split(line: str) -> tuple[str, str]:
    """Return what is wrong and what to do about it, as our errors put one behind the other."""
    text, _, remedy = line.rpartition(": ")
    return (text, remedy) if text else (line, "see docs/live.md")
