"""Tests of alerts: rules, the notifier, a webhook that misbehaves, and the whole process."""
