"""Detect the annotated cuboid: where in space and time annotation is complete, and what is doubtful about it."""

from anlage.cuboid.cuboid import Cuboid, detect_cuboid, examine_cuboid

__all__ = ["Cuboid", "detect_cuboid", "examine_cuboid"]
