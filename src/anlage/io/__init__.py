"""Each file format is read and written here, and nowhere else."""

from anlage.io.images import open_image, reading

__all__ = ["open_image", "reading"]
