"""From the name of a stage, which travels between processes, to the stage itself."""

from cli.recorded_stage import Recorded, recorded_stages
from cli.simulated import Episode, SimulatedStage
from cli.stage import Stage

Shown = Episode | Recorded


def stage_of(shown: Shown) -> Stage:
    """Return the stage of an episode or of a stretch of a recording."""
    if isinstance(shown, Episode):
        return SimulatedStage(shown)
    return recorded_stages(shown.path, known=shown.known)[shown.number]
