"""The embedded exchange: a process that speaks both venues' wire formats over a world computed from seed and time.

It shares no code with the trader, so that two ledgers that agree are really two.
"""
