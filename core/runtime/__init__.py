"""The actor runtime on pykka: addresses, mailboxes, supervision, timers, clocks, workers, the gate's cell.

Two runtimes run the same actor classes: `ThreadedRuntime` for production, `SteppedRuntime` for virtual time.
"""
