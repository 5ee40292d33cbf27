"""The database away, slow, restarted and full, under the real program while it trades."""
