"""Options that several commands share: how they are declared, parsed and explained."""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TextIO

from anlage.cli.written import Written
from anlage.errors import AnlageError

if TYPE_CHECKING:
    from anlage.annotations import Annotations
    from anlage.axes import Box, Spacing
    from anlage.foreign import Range
    from anlage.io.seals import Writer
    from anlage.timelapse import TimeLapse

__all__ = [
    "Parser",
    "add_reading",
    "channel_list",
    "device_option",
    "diameter",
    "heatmap_path",
    "micrometres",
    "positive",
    "spread_settings",
    "writer",
]

_SETTING = re.compile(r"[A-Za-z_]\w*=")


class Parser(argparse.ArgumentParser):
    """A command's options; complaints are one sentence.

    Parameters
    ----------
    command
        Name of the command.
    summary
        What it does, in a line.
    """

    def __init__(self, command: str, summary: str) -> None:
        super().__init__(
            prog=f"anlage {command}",
            description=f"{summary[0].upper()}{summary[1:]}.",
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        self.set_defaults(command=command)
        self._outputs: dict[str, str] = {}
        self.again = "The same command begins anew."
        """How to go on after Ctrl-C, as a sentence."""

    def add_output(self, *names: str, kind: str = "", group: argparse._ArgumentGroup | None = None, **how: Any) -> None:
        """An option, or an argument, that names a file to write; with the first comes ``--overwrite``.

        What lies there is looked at before the command begins, by `check_outputs`. The kind is what the function that writes
        says (`Writer.of`); empty where that is known only later: then the command must ask `check_free` itself.
        """
        action = (group or self).add_argument(*names, **how)
        if not self._outputs:
            self.add_overwrite()
        self._outputs[action.dest] = kind

    def add_overwrite(self) -> None:
        """The option by which a user consents to files being replaced."""
        self.add_argument(
            "--overwrite", action="store_true",
            help="replace what is there already, whoever wrote it (default: only what this command wrote and nobody changed)",
        )  # fmt: skip

    def check_outputs(self, options: argparse.Namespace) -> None:
        """Refuse what must not be replaced, before anything is computed: files of others, what is read, two of one name."""
        from anlage.io.atomic import check_apart

        def places(names: Iterable[str]) -> Iterator[tuple[str, Path]]:
            for name in names:
                if isinstance(given := getattr(options, name), (str, Path)) and str(given):
                    yield name, Path(given).expanduser()

        sources = places(set(vars(options)) - {"command", *self._outputs})
        read = [place for _, place in sources if _is_there(place)]
        written: set[Path] = set()
        for name, place in places(self._outputs):
            for source in read:
                if place.resolve() in (source.resolve(), *source.resolve().parents):
                    check_apart(place, source)
            if place.resolve() in written:
                raise AnlageError(f"Two things cannot be written to the same file '{place}'; choose two names.")
            check_free(place, options, self._outputs[name])
            written.add(place.resolve())
        options.written = Written(place for _, place in places(self._outputs))

    def explain(self, text: str, *examples: str) -> None:
        """Add a paragraph above the options and examples below them."""
        self.description = f"{self.description}\n\n{text}" if text else self.description
        shown = "\n".join(f"  {example}" for example in examples)
        self.epilog = f"example{'s' if len(examples) > 1 else ''}:\n{shown}"

    def error(self, message: str) -> NoReturn:
        raise AnlageError(f"{message[0].upper()}{message[1:]}; `{self.prog} --help` explains the command.")


def spread_settings(arguments: Sequence[str]) -> list[str]:
    """Rewrite ``--set a=1 b=2`` and ``--set=a=1 b=2`` as ``--set a=1 --set b=2``: a STORE may follow."""
    spread: list[str] = []
    in_settings = False
    for argument in _apart(arguments):
        if in_settings and _SETTING.match(argument) and spread[-1] != "--set":
            spread.append("--set")
        elif argument == "--set":
            in_settings = True
        elif spread and spread[-1] != "--set":
            in_settings = False
        spread.append(argument)
    return spread


def _apart(arguments: Sequence[str]) -> Iterator[str]:
    """``--set=x`` as the two words ``--set x``."""
    for argument in arguments:
        if argument.startswith("--set="):
            yield "--set"
            yield argument.removeprefix("--set=")
        else:
            yield argument


def add_reading(parser: Parser, what: str = "the image") -> None:
    """Options that override what an image file says of itself."""
    group = parser.add_argument_group(f"how {what} is read (only where the file does not say it, or says it wrongly)")
    group.add_argument(
        "--spacing",
        type=spacing,
        metavar="Z,Y,X",
        help="voxel size in µm, for example 2,0.5,0.5; in 2D Y,X or one number",
    )
    group.add_argument("--interval", type=seconds, metavar="S", help="time between frames in seconds")
    group.add_argument("--axes", metavar="tzyx", help="axes of the file in order, letters of tczyx")


def writer(options: argparse.Namespace) -> Writer:
    """Who writes: this command, and whether the user consented to anything being replaced."""
    from anlage.io.seals import Writer

    return Writer(options.command, overwrite=options.overwrite)


def check_free(place: str | Path, options: argparse.Namespace, kind: str = "") -> None:
    """Refuse a place where something lies that this command may not replace with something of this kind."""
    from anlage.io.atomic import check_replaceable

    check_replaceable(place, writer(options).of(kind))


def device_option(parser: Parser) -> None:
    """The option that says where to compute."""
    parser.add_argument(
        "--device", default="auto", metavar="NAME", help="where to compute: auto, cpu, cuda:0 or mps (default: auto)"
    )


def spacing(text: str) -> Spacing:
    """``Z,Y,X`` in µm, in 2D ``Y,X`` or one number."""
    from anlage.axes import Spacing

    return Spacing.parse(text)


def box(text: str) -> Box | str:
    """``auto`` or ``t0:t1,z0:z1,y0:y1,x0:x1``."""
    from anlage.axes import Box

    return "auto" if text == "auto" else Box.parse(text)


def positive(text: str) -> float:
    """A number above 0."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value > 0):
        raise AnlageError(f"'{text}' is not a positive number.")
    return value


def seconds(text: str) -> float:
    """A time step in seconds."""
    from anlage.foreign import INTERVALS_S

    return _within(text, INTERVALS_S)


def micrometres(text: str) -> float:
    """A radius or diameter in µm."""
    from anlage.foreign import RADII_UM

    return _within(text, RADII_UM)


def _within(text: str, known: Range) -> float:
    value = positive(text)
    if not known.holds(value):
        raise AnlageError(f"'{text}' {known}")
    return value


def diameter(text: str) -> float:
    """A nucleus diameter in µm."""
    from anlage.foreign import check_diameter

    return check_diameter(positive(text))


def not_negative(text: str) -> float:
    """A number from 0 on."""
    return 0.0 if text.strip() in ("0", "0.0") else positive(text)


def probability(text: str) -> float:
    """A number from 0 to 1."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise AnlageError(f"The threshold '{text}' is not a probability; give a number from 0 to 1, for example 0.5.")
    return value


def window_length(text: str) -> tuple[float, str]:
    """A length of a window: ``600`` samples, or ``60ms``; the number and its unit."""
    bare, unit = text.strip().lower(), "samples"
    for ending in ("ms", "samples"):
        if bare.endswith(ending):
            bare, unit = bare.removesuffix(ending).strip(), ending
    value = positive(bare)
    if unit == "samples" and (value != int(value) or not _SHORTEST_WINDOW <= value <= _LONGEST_WINDOW):
        raise AnlageError(
            f"A window of '{text}' is no whole number of samples from {_SHORTEST_WINDOW} on; give samples, 600, or milliseconds, 60ms."
        )
    return value, unit


_SHORTEST_WINDOW, _LONGEST_WINDOW = 8, 10_000_000
"""Samples."""


def channel_list(text: str) -> tuple[int, ...]:
    """``0,2``: channel numbers, counted from 0."""
    try:
        channels = tuple(int(part) for part in text.split(","))
    except ValueError:
        channels = ()
    if not channels or min(channels) < 0 or len(set(channels)) < len(channels):
        raise AnlageError(f"The channels '{text}' are not numbers like 0,2, counted from 0 and each named once.")
    return channels


def span(text: str) -> tuple[int | None, int | None]:
    """``a:b``: from a up to, not including, b; either may be left out, and ``a`` alone is one frame."""
    first, colon, last = text.partition(":")
    try:
        low, high = (int(part) if part.strip() else None for part in (first, last))
    except ValueError:
        low, high = 1, 0
    if not colon and low is not None:
        high = low + 1
    if (low or 0) < 0 or (high is not None and high <= (low or 0)):
        raise AnlageError(f"The frames '{text}' are not of the form a:b with a below b, for example 10:20.")
    return low, high


def spans_zyx(text: str) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int]]:
    """``z0:z1,y0:y1,x0:x1`` in voxels, half-open."""
    try:
        (z0, z1), (y0, y1), (x0, x1) = (map(int, part.split(":")) for part in text.split(","))
    except ValueError:
        z0 = y0 = x0 = z1 = y1 = x1 = 0
    if not (0 <= z0 < z1 and 0 <= y0 < y1 and 0 <= x0 < x1):
        raise AnlageError(
            f"The region '{text}' is not of the form z0:z1,y0:y1,x0:x1 in voxels, for example 0:32,100:356,0:256."
        )
    return (z0, z1), (y0, y1), (x0, x1)


def prediction_path(text: str) -> Any:
    """A path that ends in .csv or .geff (a table) or in .zarr, .tif or .tiff (labels)."""
    path = Path(text)
    if path.suffix.lower() not in (".csv", ".geff", ".zarr", ".tif", ".tiff"):
        raise AnlageError(
            f"'{text}' can hold neither a table of nuclei nor labels; choose a name that ends in .csv or .geff, or for labels "
            "in .zarr or .tif."
        )
    return path


def heatmap_path(text: str) -> Any:
    """A path that ends in .zarr."""
    path = Path(text)
    if path.suffix.lower() != ".zarr":
        raise AnlageError(f"'{text}' cannot hold a heat-map; choose a name that ends in .zarr.")
    return path


def open_with_options(path: str, options: argparse.Namespace) -> TimeLapse:
    """Open an image with the options of `add_reading`, and print how it was read and what is doubtful about it.

    Raises
    ------
    AnlageError
        If it cannot be read, or its pixels are not there.
    """
    from anlage.io import open_image

    image = open_image(path, axes=options.axes, spacing=options.spacing, interval_s=options.interval)
    print_reading(image)
    return image


def print_reading(image: TimeLapse, *, is_labels: bool = False, out: TextIO | None = None) -> None:
    """Print how an image was read and what is doubtful about it; of labels an empty frame is not.

    Raises
    ------
    AnlageError
        If its pixels are not there.
    """
    from anlage.io import reading
    from anlage.io.image_doubts import doubt_image

    print(reading(image), file=out)
    image.require_pixels()
    for doubt in image.notes if is_labels else doubt_image(image):
        print(f"Doubtful: {doubt}", file=out)


def print_painted_labels(annotations: Annotations) -> None:
    """Print what is doubtful about the label images that nuclei were read from."""
    for note in () if annotations.labels is None else annotations.labels.notes:
        print(f"Doubtful: {note}")


def _is_there(place: Path) -> bool:
    """Whether a text that may be a path is one; a long sentence, such as a card's, is none and no error either."""
    try:
        return place.exists()
    except OSError:
        return False
