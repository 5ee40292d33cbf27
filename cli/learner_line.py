"""The policy in use, and how it learns, as one line for people."""

from core.status import LearnerStatus


def learner_text(learner: LearnerStatus) -> str:
    """Return the policy in use and how it learns, for people."""
    text = f"policy v{learner.version} ({learner.source})"
    if not learner.learns:
        return text
    text += f", {learner.updates} updates, {learner.waiting} of {learner.buffer} transitions for the next"
    if learner.entropy is not None:
        text += f", entropy {learner.entropy:.3f}"
    return text if learner.rolled_back is None else f"{text}, the last update was undone"
