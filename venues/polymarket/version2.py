"""Order version 2, which the venue takes today: py-clob-client-v2's own orders, hashed and signed by a shorter way."""

from py_clob_client_v2.config import get_contract_config
from py_clob_client_v2.order_utils import ExchangeOrderBuilderV2, OrderDataV2, OrderV2, Side, SignatureTypeV2
from py_clob_client_v2.order_utils.model.order_data_v2 import SignedOrderV2, order_to_json_v2
from py_clob_client_v2.signer import Signer

from core.errors import FatalError
from core.trading.orders import Order
from venues.polymarket.amounts import Amounts
from venues.polymarket.credentials import POLY_1271, Wallet, key_bytes
from venues.polymarket.quick_signing import digest_signer, order_digest
from venues.polymarket.signing import OrderTerms, Signed, funder_address, order_signer

_SIDES = {"BUY": Side.BUY, "SELL": Side.SELL}


class Format:
    """Signs for the exchange contracts of version 2.

    Raises:
        FatalError: when the wallet's key, funder and signature type do not go together, or the installed
            py-clob-client-v2 would sign something else than this.
    """

    version = 2

    def __init__(self, wallet: Wallet) -> None:
        key = key_bytes(wallet.private_key)
        self._sign = digest_signer(key)
        self._signature_type = SignatureTypeV2(wallet.signature_type)
        self._maker = funder_address(wallet)
        self._signer = order_signer(wallet)
        contracts = get_contract_config(wallet.chain_id)
        vendor_signer = Signer("0x" + key.hex(), wallet.chain_id)
        self._builders = {
            False: ExchangeOrderBuilderV2(contracts.exchange_v2, wallet.chain_id, vendor_signer),
            True: ExchangeOrderBuilderV2(contracts.neg_risk_exchange_v2, wallet.chain_id, vendor_signer),
        }
        for builder in self._builders.values():
            self._compare(builder)

    def exchange(self, *, neg_risk: bool) -> str:
        """Return the address of the contract that checks these orders: the spender of the allowance."""
        return str(self._builders[neg_risk].contract_address)

    def signed(self, order: Order, amounts: Amounts, terms: OrderTerms, salt: int, at_ms: int) -> Signed:
        """Return the signed order."""
        builder = self._builders[terms.neg_risk]
        unsigned = builder.build_order(
            OrderDataV2(
                maker=self._maker,
                signer=self._signer,
                tokenId=order.token_id,
                makerAmount=str(amounts.maker),
                takerAmount=str(amounts.taker),
                side=_SIDES[order.side],
                signatureType=self._signature_type,
                timestamp=str(at_ms),
            )
        )
        unsigned.salt = str(salt)
        digest = order_digest(builder.app_domain_separator, unsigned)
        if self._signature_type == POLY_1271:  # its signature wraps another hash
            signature = str(builder.build_order_signature(builder.build_order_typed_data(unsigned)))
        else:
            signature = self._sign(digest)
        complete = SignedOrderV2(**vars(unsigned), signature=signature)
        payload: dict[str, str | int] = order_to_json_v2(complete, "", order.order_type)["order"]
        return Signed("0x" + digest.hex(), payload)

    def hash_of(self, payload: dict[str, str | int], *, neg_risk: bool) -> str:
        """Return the EIP-712 hash of a signed order's JSON."""
        fields = {name: value for name, value in payload.items() if name != "signature"}
        order = OrderV2(**(fields | {"side": _SIDES[str(payload["side"])]}))
        builder = self._builders[neg_risk]
        return str(builder.build_order_hash(builder.build_order_typed_data(order)))

    def _compare(self, builder: ExchangeOrderBuilderV2) -> None:
        """Sign one order both ways: a release of the vendor's that signs otherwise must be noticed before any is sent.

        Raises:
            FatalError: when the hashes or the signatures differ.
        """
        sample = builder.build_order(
            OrderDataV2(
                maker=self._maker,
                signer=self._signer,
                tokenId=str(2**255 + 1),
                makerAmount="5200000",
                takerAmount="10000000",
                side=Side.SELL,
                signatureType=self._signature_type,
                timestamp="1790000000000",
            )
        )
        typed = builder.build_order_typed_data(sample)
        digest = order_digest(builder.app_domain_separator, sample)
        same = "0x" + digest.hex() == str(builder.build_order_hash(typed))
        if same and self._signature_type != POLY_1271:
            same = self._sign(digest) == str(builder.build_order_signature(typed))
        if not same:
            raise FatalError(
                "order version 2 is signed otherwise by the installed py-clob-client-v2: install the pinned one"
            )
