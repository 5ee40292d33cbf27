"""Entry point of `python -m venues.sim`."""

from venues.sim.main import main

raise SystemExit(main())
