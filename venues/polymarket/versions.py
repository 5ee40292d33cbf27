"""Which order version the venue takes: asked once at start, and refused by name when we cannot sign it."""

import msgspec

from core.errors import FatalError
from venues.polymarket.credentials import AMOY, POLYGON, Wallet
from venues.polymarket.signing import OrderFormat
from venues.rest import NotFoundError, Rest
from venues.transport import BadFrameError

SIGNABLE = (1, 2)
CHAINS = frozenset({POLYGON, AMOY})


class _Version(msgspec.Struct):
    version: int


def negotiate(rest: Rest) -> int:
    """Return the order version of the CLOB behind `rest`.

    Raises:
        FatalError: for a version no client we have can sign, or an answer that names none.
        TransientError: when it could not be asked.
    """
    try:
        version = rest.get("/version", _Version).version
    except (NotFoundError, BadFrameError) as error:
        raise FatalError(
            f"the venue does not say which order version it takes ({error}): check the CLOB's URL"
        ) from error
    if version not in SIGNABLE:
        raise FatalError(
            f"the venue takes order version {version}, we sign 1 (py-clob-client) and 2 (py-clob-client-v2): "
            "install a release that knows it; until then only paper trading works"
        )
    return version


def order_format(version: int, wallet: Wallet) -> OrderFormat:
    """Return how orders of `version` are signed; the vendor's client for it is imported here and not before.

    Raises:
        FatalError: for an unknown version, or a wallet that does not fit it.
    """
    if wallet.chain_id not in CHAINS:
        raise FatalError(
            f"chain {wallet.chain_id} has no exchange of the venue: use {POLYGON} (Polygon) or {AMOY} (Amoy)"
        )
    # the vendor's packages take most of a second to import, which paper trading should not pay
    if version == 1:
        from venues.polymarket.version1 import Format as Format1  # noqa: PLC0415

        return Format1(wallet)
    if version == 2:  # noqa: PLR2004
        from venues.polymarket.version2 import Format as Format2  # noqa: PLC0415

        return Format2(wallet)
    raise FatalError(f"order version {version} cannot be signed: versions {SIGNABLE} can")
