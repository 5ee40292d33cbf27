"""Orders signed by the vendor's libraries are recognised; what anybody else could have signed is not."""

import asyncio
import json
from typing import Any

import pytest
from eth_account import Account
from eth_account.messages import encode_typed_data
from hypothesis import given, settings
from hypothesis import strategies as st
from py_clob_client.clob_types import CreateOrderOptions as OptionsV1
from py_clob_client.clob_types import OrderArgs as OrderArgsV1
from py_clob_client.order_builder.builder import OrderBuilder as BuilderV1
from py_clob_client.signer import Signer as SignerV1
from py_clob_client.utilities import order_to_json as to_json_v1
from py_clob_client_v2.clob_types import CreateOrderOptions, OrderArgs
from py_clob_client_v2.order_builder.builder import OrderBuilder
from py_clob_client_v2.order_utils.exchange_order_builder_v2 import ExchangeOrderBuilderV2
from py_clob_client_v2.order_utils.model.order_data_v2 import OrderV2, order_to_json_v2
from py_clob_client_v2.signer import Signer

from venues.sim.auth.eip712 import recover
from venues.sim.auth.keys import ApiKey, KeyRing
from venues.sim.auth.orders import EXCHANGES, Terms, decode_order, verified
from venues.sim.auth.recovery import Recovery, measured_recovery
from venues.sim.auth.wallets import wallets_of
from venues.sim.trading.values import NewOrder, VenueError

_SECRET, _OTHER = "0x" + "11" * 32, "0x" + "22" * 32
_OWNER = Account.from_key(_SECRET).address.lower()
_TOKEN = "7" * 77


@pytest.fixture
def key() -> ApiKey:
    made = KeyRing(1).create(_OWNER, 0)
    assert made is not None
    return made


def signed_v2(
    owner: str, signature_type: int = 0, funder: str | None = None, *, secret: str = _SECRET, neg_risk: bool = False
) -> dict[str, Any]:
    """Return what py-clob-client-v2 would post."""
    builder = OrderBuilder(Signer(secret, 137), signature_type, funder)
    args = OrderArgs(token_id=_TOKEN, price=0.52, size=10, side="BUY")
    order = builder.build_order(args, CreateOrderOptions("0.01", neg_risk), version=2)
    body = json.loads(json.dumps(order_to_json_v2(order, owner, "GTC")))
    assert isinstance(body, dict)
    return body


def signed_v1(owner: str, signature_type: int = 0, funder: str | None = None, nonce: int = 0) -> dict[str, Any]:
    """Return what py-clob-client would post."""
    builder = BuilderV1(SignerV1(_SECRET, 137), signature_type, funder)
    args = OrderArgsV1(token_id=_TOKEN, price=0.52, size=10, side="SELL", fee_rate_bps=1000, nonce=nonce)
    body = to_json_v1(builder.create_order(args, OptionsV1("0.01", neg_risk=False)), owner, "GTC")
    return dict(json.loads(json.dumps(body)))


def accepted(
    body: dict[str, Any], key: ApiKey, terms: Terms | None = None, *, neg_risk: bool = False, thread: bool = False
) -> NewOrder:
    """Return the order as the engine gets it. Raises VenueError."""
    posted = decode_order(json.dumps(body).encode())
    work = verified(posted, key, terms or Terms(), Recovery(in_thread=thread), neg_risk=neg_risk)
    return asyncio.run(work)


def refusal(body: dict[str, Any], key: ApiKey, terms: Terms | None = None, *, neg_risk: bool = False) -> str:
    """Return why an order is refused."""
    with pytest.raises(VenueError) as raised:
        accepted(body, key, terms, neg_risk=neg_risk)
    assert raised.value.status == 400
    return raised.value.text


@pytest.mark.parametrize("neg_risk", [False, True])
def test_an_order_of_version_2_is_known_by_the_hash_its_signer_computes(key: ApiKey, *, neg_risk: bool) -> None:
    body = signed_v2(key.api_key, neg_risk=neg_risk)
    order = accepted(body, key, neg_risk=neg_risk)
    builder = ExchangeOrderBuilderV2(EXCHANGES[2][neg_risk], 137, Signer(_SECRET, 137))
    sent = {name: value for name, value in body["order"].items() if name != "signature"} | {"side": 0}
    assert order.order_id == builder.build_order_hash(builder.build_order_typed_data(OrderV2(**sent)))
    assert (order.account, order.signer, order.owner) == (_OWNER, _OWNER, key.api_key)
    assert (order.maker_amount, order.taker_amount, order.side) == (5_200_000, 10_000_000, "BUY")
    assert refusal(body, key, neg_risk=not neg_risk) == "invalid signature"


def test_an_order_of_version_1_is_taken_by_a_version_1_exchange_alone(key: ApiKey) -> None:
    body = signed_v1(key.api_key)
    order = accepted(body, key, Terms(version=1))
    assert (order.maker_amount, order.taker_amount, order.side) == (10_000_000, 5_200_000, "SELL")
    assert refusal(body, key, Terms(version=2)) == "order_version_mismatch"
    assert refusal(signed_v2(key.api_key), key, Terms(version=1)) == "order_version_mismatch"


def test_a_nonce_nobody_raised_on_the_chain_is_invalid(key: ApiKey) -> None:
    assert refusal(signed_v1(key.api_key, nonce=3), key, Terms(version=1)) == "invalid nonce"


@pytest.mark.parametrize("signature_type", [1, 2])
def test_a_proxy_or_safe_makes_orders_only_for_the_key_it_belongs_to(key: ApiKey, signature_type: int) -> None:
    mine = wallets_of(_OWNER).of_type(signature_type)
    other = wallets_of("0x" + "ab" * 20).of_type(signature_type)
    assert accepted(signed_v2(key.api_key, signature_type, mine), key).account == mine
    assert accepted(signed_v1(key.api_key, signature_type, mine), key, Terms(version=1)).account == mine
    assert refusal(signed_v2(key.api_key, signature_type, other), key) == "invalid signature"
    assert refusal(signed_v2(key.api_key, 3 - signature_type, mine), key) == "invalid signature"
    assert refusal(signed_v2(key.api_key, 0, mine), key) == "invalid signature"


def test_a_deposit_wallet_signs_through_its_owner(key: ApiKey) -> None:
    wallet = wallets_of(_OWNER).deposit
    body = signed_v2(key.api_key, 3, wallet)
    order = accepted(body, key)
    assert (order.account, order.signer) == (wallet, wallet)
    other = wallets_of("0x" + "ab" * 20).deposit
    wrong_key = "the order signer address has to be the address of the API KEY"
    assert refusal(signed_v2(key.api_key, 3, other), key) == wrong_key
    assert refusal(signed_v2(key.api_key, 3, wallet, secret=_OTHER), key) == "invalid signature"
    trailer = body["order"] | {"signature": body["order"]["signature"][:-2] + "00"}
    assert refusal(body | {"order": trailer}, key) == "invalid signature"
    assert refusal(body, key, neg_risk=True) == "invalid signature"


def test_new_accounts_are_sent_to_the_deposit_wallet_flow(key: ApiKey) -> None:
    terms = Terms(require_deposit_wallet=True)
    text = "maker address not allowed, please use the deposit wallet flow"
    wallets = wallets_of(_OWNER)
    assert refusal(signed_v2(key.api_key), key, terms) == text
    assert refusal(signed_v2(key.api_key, 1, wallets.deposit), key, terms) == text
    assert accepted(signed_v2(key.api_key, 3, wallets.deposit), key, terms).account == wallets.deposit
    assert accepted(signed_v2(key.api_key, 1, wallets.proxy), key, terms).account == wallets.proxy


def test_an_order_belongs_to_the_key_it_is_posted_with(key: ApiKey) -> None:
    assert refusal(signed_v2("another"), key) == "the order owner has to be the owner of the API KEY"
    wrong = "the order signer address has to be the address of the API KEY"
    assert refusal(signed_v2(key.api_key, secret=_OTHER), key) == wrong


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("makerAmount", "5200001"),
        ("takerAmount", "9999999"),
        ("tokenId", "8" * 77),
        ("salt", 1),
        ("side", "SELL"),
        ("timestamp", "1"),
        ("signature", "0x" + "00" * 65),
        ("signature", "0x1234"),
    ],
)
def test_a_field_changed_after_signing_is_an_invalid_signature(key: ApiKey, field: str, value: object) -> None:
    body = signed_v2(key.api_key)
    assert refusal(body | {"order": body["order"] | {field: value}}, key) == "invalid signature"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("makerAmount", "x"),
        ("makerAmount", "-1"),
        ("tokenId", str(2**256)),
        ("signature", "0xzz"),
        ("metadata", "0x" + "00" * 33),
        ("signatureType", 4),
        ("side", "HOLD"),
        ("salt", "1.5"),
    ],
)
def test_what_is_no_order_is_refused_in_the_venues_words(key: ApiKey, field: str, value: object) -> None:
    body = signed_v2(key.api_key)
    assert refusal(body | {"order": body["order"] | {field: value}}, key) == "Invalid order payload"


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=400))
def test_no_body_makes_the_decoder_fail_otherwise(body: bytes) -> None:
    with pytest.raises(VenueError, match="Invalid order payload"):
        decode_order(body)


def test_a_thread_recovers_the_same_signer(key: ApiKey) -> None:
    assert accepted(signed_v2(key.api_key), key, thread=True).account == _OWNER


def test_recovery_moves_to_a_thread_where_it_takes_longer_than_a_millisecond() -> None:
    def clock(step_s: float) -> Recovery:
        ticks = iter(step_s * k for k in range(100))
        return measured_recovery(lambda: next(ticks))

    assert clock(0.0101).in_thread
    assert not clock(0.0001).in_thread


def test_the_upper_of_two_equivalent_signatures_is_refused_as_by_the_contracts() -> None:
    order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
    made = Account.from_key(_SECRET).unsafe_sign_hash(bytes(31) + b"\x07")
    lower = bytes(made.signature)
    upper = lower[:32] + (order - made.s).to_bytes(32, "big") + bytes([55 - lower[64]])
    assert recover(bytes(31) + b"\x07", lower) == _OWNER
    assert recover(bytes(31) + b"\x07", upper) is None


def test_wallets_are_where_the_vendors_sdk_derives_them() -> None:
    one = wallets_of("0x0000000000000000000000000000000000000001")
    assert one.deposit == "0x94bf330955a0b957662feaf878de77bf25f76cd9"
    assert one.proxy == "0x7754536ecd85c00b2e0cf9c1aa679340d8550756"
    assert one.safe == "0x766b6851a199bf91ae3fa13b1cfac5187355118f"
    anvil = wallets_of("0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266")
    assert anvil.safe == "0xd93b25cb943d14d0d34fbaf01fc93a0f8b5f6e47"
    assert anvil.proxy == "0x365f0ca36ae1f641e02fe3b7743673da42a13a70"


def test_our_hash_is_that_of_eth_account(key: ApiKey) -> None:
    body = signed_v1(key.api_key)
    order = accepted(body, key, Terms(version=1))
    names = ("salt", "maker", "signer", "taker", "tokenId", "makerAmount", "takerAmount", "expiration", "nonce")
    fields = [{"name": n, "type": "address" if n in {"maker", "signer", "taker"} else "uint256"} for n in names]
    fields += [{"name": "feeRateBps", "type": "uint256"}]
    fields += [{"name": n, "type": "uint8"} for n in ("side", "signatureType")]
    sent = body["order"] | {"side": 1}
    numbers = {f["name"]: int(sent[f["name"]]) if f["type"] != "address" else sent[f["name"]] for f in fields}
    message = encode_typed_data(
        {"name": "Polymarket CTF Exchange", "version": "1", "chainId": 137, "verifyingContract": EXCHANGES[1][0]},
        {"Order": fields},
        numbers,
    )
    assert Account.recover_message(message, signature=sent["signature"]).lower() == _OWNER
    assert order.signer == _OWNER
