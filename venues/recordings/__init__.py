"""Recorded markets of several formats, opened as the same events that the live decoders produce."""

from venues.recordings.opening import FORMATS, open_recording
from venues.recordings.recording import RecordedEvent, Recording

__all__ = ["FORMATS", "RecordedEvent", "Recording", "open_recording"]
