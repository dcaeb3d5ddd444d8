"""Read and write every file format; no other package does."""

from anlage.io.image_writing import write_image, write_tiff
from anlage.io.images import image_paths, open_image, reading
from anlage.io.label_images import open_label_image
from anlage.io.measurements import write_objects
from anlage.io.mesh_files import write_mesh, write_points
from anlage.io.nuclei_files.nuclei import open_annotations, write_annotations

__all__ = [
    "image_paths",
    "open_annotations",
    "open_image",
    "open_label_image",
    "reading",
    "write_annotations",
    "write_image",
    "write_mesh",
    "write_objects",
    "write_points",
    "write_tiff",
]
