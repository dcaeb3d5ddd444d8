"""Blob detection without training: centres, nucleus diameter, and peaks of maps.

A nucleus is a bright ball of about one diameter in a darker surrounding. The band between two Gaussian blurs (a
difference of Gaussians) answers to such balls; its peaks are the nuclei. All lengths are in µm, so that anisotropic
voxels need no special case, and 2D is Z = 1.
"""

from anlage.blobs.at_nuclei import brightest_channel, diameter_at_nuclei, fullest_frames, values_at
from anlage.blobs.detector import FRACTION, blob_response, detect
from anlage.blobs.diameter import doubt_diameter, estimate_diameter, is_alike, match_diameter
from anlage.blobs.liveliest import liveliest
from anlage.blobs.peaks import find_peaks, suppress

__all__ = [
    "FRACTION",
    "blob_response",
    "brightest_channel",
    "detect",
    "diameter_at_nuclei",
    "doubt_diameter",
    "estimate_diameter",
    "find_peaks",
    "fullest_frames",
    "is_alike",
    "liveliest",
    "match_diameter",
    "suppress",
    "values_at",
]
