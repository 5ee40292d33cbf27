"""What rows and journal say about an outage, afterwards."""

from pathlib import Path

import msgspec
import psycopg

from storage.journal_format import entry_frames, read_header, seed_of
from storage.journal_recovery import Confirmed
from storage.state_file import read_newest

ORDERS = """
SELECT count(*) FROM orders o JOIN intents i ON i.id = o.intent_id
WHERE i.action = %(action)s AND o.submitted_at >= to_timestamp(%(after_s)s)
  AND o.submitted_at < to_timestamp(%(before_s)s)
"""
EXITS = """
SELECT count(*) FROM fills f JOIN orders o ON o.id = f.order_id JOIN intents i ON i.id = o.intent_id
WHERE i.action = 'CLOSE' AND f.filled_at >= to_timestamp(%(after_s)s) AND f.filled_at < to_timestamp(%(before_s)s)
"""
DISORDER = """
SELECT (SELECT count(*) FROM (SELECT at, lag(at) OVER (PARTITION BY subject ORDER BY id) AS before
                              FROM health_events) e WHERE at < before - interval '50 ms')
     + (SELECT count(*) FROM (SELECT generation, lag(generation) OVER (PARTITION BY kind, name ORDER BY id) AS before
                              FROM checkpoints) c WHERE generation < before)
"""
"""Rows that were inserted after ones that were told later."""
FILLED = "SELECT count(*) FROM orders WHERE state = 'FILLED'"
TRADES = "SELECT count(*) FROM trades"


def count(connection: psycopg.Connection, query: str, **parameters: object) -> int:
    """Return the single number that a query asks for."""
    row = connection.execute(query, parameters).fetchone()
    return 0 if row is None else int(row[0])


def unconfirmed(folder: Path) -> int:
    """Return how many entries the journal in `folder` holds for a database, without its lock."""
    sound = read_newest(folder / "confirmed", report=print)
    confirmed = 0 if sound is None else msgspec.msgpack.decode(sound.payload, type=Confirmed).sequence
    found = 0
    for path in folder.glob("*.journal"):
        data = path.read_bytes()
        opened = read_header(data, path)
        if opened is not None:
            header, begin = opened
            frames = entry_frames(data, begin, seed_of(header.database_id))
            found += sum(frame.sequence > confirmed for frame in frames)
    return found
