"""What every actor is: a class with three hooks, handed everything it may touch by its context."""

from typing import ClassVar

from core.runtime.context import Context


class Actor:
    """Base of all actors. An exception in any hook is a crash of this incarnation.

    A handler's effects (tells, timers, work, checkpoints) happen together when it returns: a handler that raises has
    had none, so its message can be delivered to the next incarnation as if nothing had happened.
    """

    acknowledges: ClassVar[bool] = False
    """True when this actor saves its state or acknowledges by itself: until then its money messages come again."""

    def __init__(self, context: Context) -> None:
        self.context = context

    def on_start(self) -> None:
        """Run before the first message; `context.saved` holds the last checkpoint."""

    def receive(self, message: object) -> object:
        """Handle one message; the result is only seen by an asker outside the actor system."""
        raise NotImplementedError

    def on_stop(self) -> None:
        """Run after the last message; may block for a moment to finish what must last."""
