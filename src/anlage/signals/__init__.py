"""Signals of tracks and traces, and the events in them."""

from anlage.signals.events import Events
from anlage.signals.signals import Signals

__all__ = ["Events", "Signals"]
