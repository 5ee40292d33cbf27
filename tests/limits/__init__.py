"""Every limit on an order's way, the kill switch, the watchdog's rules: each refuses, and is missed when it is gone."""
