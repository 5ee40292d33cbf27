"""Order version 1, dead on the real venue since April 2026, in py-clob-client's own code."""

from eth_utils.crypto import keccak
from py_clob_client.config import get_contract_config
from py_order_utils.builders import OrderBuilder
from py_order_utils.model import BUY, SELL, OrderData
from py_order_utils.model import Order as VendorOrder
from py_order_utils.model import SignedOrder as VendorSignedOrder
from py_order_utils.signer import Signer

from core.errors import FatalError
from core.trading.orders import Order
from venues.polymarket.amounts import Amounts
from venues.polymarket.credentials import POLY_1271, Wallet, key_bytes
from venues.polymarket.signing import OrderTerms, Signed, funder_address, signer_address

_SIDES = {"BUY": BUY, "SELL": SELL}
_NUMBERS = ("salt", "tokenId", "makerAmount", "takerAmount", "expiration", "nonce", "feeRateBps", "signatureType")
_ADDRESSES = ("maker", "signer", "taker")


class Format:
    """Signs for the exchange contracts of version 1.

    Raises:
        FatalError: when the wallet's key, funder and signature type do not go together, or need a later version.
    """

    version = 1

    def __init__(self, wallet: Wallet) -> None:
        if wallet.signature_type == POLY_1271:
            raise FatalError(
                "signature type 3 (deposit wallet) needs order version 2, and the venue asks for version 1"
            )
        self._signature_type = wallet.signature_type
        self._maker = funder_address(wallet)
        self._signer = signer_address(wallet)
        vendor_signer = Signer("0x" + key_bytes(wallet.private_key).hex())
        self._builders = {
            neg_risk: OrderBuilder(
                get_contract_config(wallet.chain_id, neg_risk).exchange, wallet.chain_id, vendor_signer
            )
            for neg_risk in (False, True)
        }

    def exchange(self, *, neg_risk: bool) -> str:
        """Return the address of the contract that checks these orders: the spender of the allowance."""
        return str(self._builders[neg_risk].contract_address)

    def signed(self, order: Order, amounts: Amounts, terms: OrderTerms, salt: int, at_ms: int) -> Signed:  # noqa: ARG002
        """Return the signed order; this version does not sign the time."""
        builder = self._builders[terms.neg_risk]
        unsigned = builder.build_order(
            OrderData(
                maker=self._maker,
                signer=self._signer,
                tokenId=order.token_id,
                makerAmount=str(amounts.maker),
                takerAmount=str(amounts.taker),
                feeRateBps=str(terms.fee_rate_bps),
                side=_SIDES[order.side],
                signatureType=self._signature_type,
            )
        )
        unsigned["salt"] = salt
        signature = builder.build_order_signature(unsigned)
        payload: dict[str, str | int] = VendorSignedOrder(unsigned, signature).dict()
        return Signed(self._hash(unsigned, neg_risk=terms.neg_risk), payload)

    def hash_of(self, payload: dict[str, str | int], *, neg_risk: bool) -> str:
        """Return the EIP-712 hash of a signed order's JSON."""
        numbers = {name: int(payload[name]) for name in _NUMBERS}
        addresses = {name: payload[name] for name in _ADDRESSES}
        order = VendorOrder(**numbers, **addresses, side=_SIDES[str(payload["side"])])
        return self._hash(order, neg_risk=neg_risk)

    def _hash(self, order: VendorOrder, *, neg_risk: bool) -> str:
        domain = self._builders[neg_risk].domain_separator
        return "0x" + keccak(order.signable_bytes(domain=domain)).hex()
