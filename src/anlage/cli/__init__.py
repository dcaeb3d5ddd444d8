"""The command line, ``anlage COMMAND …``; the training process starts here too.

Each command's module is imported when the command is used, so that ``anlage --help`` answers at once.
"""

from __future__ import annotations

import ctypes
import difflib
import importlib
import os
import sys
from collections.abc import Callable, Sequence

import anlage
from anlage.cli.arguments import Parser, spread_settings
from anlage.cli.terminal import guarded_terminal
from anlage.errors import AnlageError
from anlage.full_disk import full_disk_sentence, is_full

__all__ = ["main", "run_command", "set_up_process"]

COMMANDS = {
    "demo": ("anlage.cli.demo", "the whole job on an embryo, in under 3 minutes"),
    "doctor": ("anlage.cli.doctor", "what this computer offers, what is missing and the command that fixes it"),
    "build": ("anlage.cli.build", "make a store of training data from an image and its annotations"),
    "train": ("anlage.cli.train", "train a network on one or more stores"),
    "resume": ("anlage.cli.train", "go on with a training that was stopped or broke off"),
    "stop": ("anlage.cli.train", "ask a running training to stop; the best weights are kept"),
    "watch": ("anlage.cli.train", "follow a training from another terminal"),
    "report": ("anlage.cli.report", "draw how a training went and how good its network is on held-out data"),
    "predict": ("anlage.cli.predict", "find nuclei in an image with a trained model, or at once without one"),
    "track": ("anlage.cli.track", "link nuclei to tracks and lineages, each link with its probability"),
    "signals": ("anlage.cli.signals", "measure brightness, shape and movement along tracks"),
    "evaluate": ("anlage.cli.evaluate", "compare a result with the truth"),
    "measure": ("anlage.cli.measure", "measure every object of a label image in µm, with its brightness"),
    "mesh": ("anlage.cli.mesh", "write the surfaces of objects as PLY, OBJ or STL in µm, or as point clouds"),
    "convert": ("anlage.cli.convert", "tracks, nuclei and labels from one format to another"),
    "import": (
        "anlage.cli.imports.command",
        "projects of what was annotated in OrganoidTracker, Celldetective, TrackMate, …",
    ),
    "starter": ("anlage.cli.starter", "train the network that comes with the program, on synthetic embryos"),
    "models": ("anlage.cli.info", "list the models that come with the program, and your own"),
    "info": ("anlage.cli.info", "say what a store, run, model, image or table of nuclei is"),
}
"""Name → module that holds ``configure_NAME(parser)`` and ``run_NAME(options)``, and what it does."""

_FAILED = 2
_MMAP_THRESHOLD, _TRIM_THRESHOLD = -3, -1
"""M_MMAP_THRESHOLD and M_TRIM_THRESHOLD of malloc.h."""
_KEPT_BYTES = 128 * 2**20
_INTERRUPTED = 130
_BROKEN_PIPE = 141


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns
    -------
    int
        0 on success; 2 where the user can fix the problem, which is said on stderr; 130 after Ctrl-C.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    set_up_process()
    with guarded_terminal():
        return _run_and_explain(arguments)


def set_up_process() -> None:
    """What a process needs before it loads torch: how its threads wait, how cards are counted, and what freed memory is for."""
    # Threads that wait for each other must sleep, not spin: beside a busy viewer, spinning makes a training step four
    # times slower. OpenMP looks at this once, when torch is loaded, which no command has done yet.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    # cuda:1 is what nvidia-smi calls 1, for whoever chose it by name and free memory
    os.environ.setdefault("CUDA_DEVICE_ORDER", "PCI_BUS_ID")
    _keep_freed_memory()


def _keep_freed_memory() -> None:
    """Let the GNU C library keep what a layer of a network freed for the next one, instead of giving it back and asking anew.

    Each activation would otherwise be mapped afresh, page by page, which was up to a sixth of the time of a prediction.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
    if mallopt is not None:
        for option in (_MMAP_THRESHOLD, _TRIM_THRESHOLD):
            mallopt(option, _KEPT_BYTES)


def _run_and_explain(arguments: Sequence[str]) -> int:
    """Run one command; what a user can fix becomes a sentence on stderr."""
    try:
        code = run_command(arguments)
        sys.stdout.flush()
    except AnlageError as error:
        return _complain(str(error))
    except KeyboardInterrupt as end:
        print(f"\nInterrupted. {end}".rstrip(), file=sys.stderr)
        return _INTERRUPTED
    except BrokenPipeError:
        # whoever read our output has seen enough; Python would complain once more when it closes stdout
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _BROKEN_PIPE
    except (MemoryError, RuntimeError) as error:
        if not _is_memory(error):
            raise
        why = str(error).splitlines()[0][:200] if str(error) else "no more could be had"
        return _complain(
            f"The memory of this computer is too small for this step ({why}); close other programs, or work on a part of the "
            "image (--frames, --region, --cuboid)."
        )
    except OSError as error:
        return _complain(_file_problem(error))
    return code


def run_command(arguments: Sequence[str]) -> int:
    """Run one command; problems are raised."""
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(_overview())
        return 0 if arguments else _FAILED
    name, rest = arguments[0], arguments[1:]
    if name in ("-V", "--version"):
        print(f"anlage {anlage.__version__}")
        return 0
    if name not in COMMANDS:
        near = difflib.get_close_matches(name, COMMANDS, n=1)
        hint = f"did you mean '{near[0]}'?" if near else f"choose one of {', '.join(COMMANDS)}."
        raise AnlageError(f"There is no command '{name}'; {hint}")
    module = importlib.import_module(COMMANDS[name][0])
    parser = Parser(name, COMMANDS[name][1])
    getattr(module, f"configure_{name}")(parser)
    run: Callable[..., int] = getattr(module, f"run_{name}")
    try:
        options = parser.parse_intermixed_args(spread_settings(rest))
        options.words = tuple(arguments)
    except SystemExit as leaving:  # argparse leaves like this after --help and after its own complaints
        return int(leaving.code or 0)
    parser.check_outputs(options)
    try:
        return run(options)
    except KeyboardInterrupt as end:
        said = options.written.sentence()
        raise KeyboardInterrupt(str(end) or (f"{said} {parser.again}" if said else "")) from None


def _is_memory(error: Exception) -> bool:
    """Whether memory ran out, which torch says in an error of no type of its own."""
    signs = ("out of memory", "can't allocate memory", "not enough memory")
    return isinstance(error, MemoryError) or any(sign in str(error).lower() for sign in signs)


def _overview() -> str:
    width = max(map(len, COMMANDS))
    rows = [f"  {name:<{width}}  {summary}" for name, (_, summary) in COMMANDS.items()]
    return "\n".join(
        [
            "usage: anlage COMMAND …",
            "",
            "Train networks that find nuclei in 3D time-lapses, from a few annotations.",
            "",
            *rows,
            "",
            "`anlage COMMAND --help` explains a command, with an example. From annotations to result:",
            "",
            "  anlage build movie.ome.zarr nuclei.csv -o nuclei.zarr",
            "  anlage train nuclei nuclei.zarr -o run",
            "  anlage predict run/run.anlage movie.ome.zarr -o found.csv",
        ]
    )


def _complain(sentence: str) -> int:
    print(f"anlage: {sentence}", file=sys.stderr)
    return _FAILED


def _file_problem(error: OSError) -> str:
    where = f"'{error.filename}'" if error.filename else "a file"
    if is_full(error):
        return full_disk_sentence(
            f"while writing {where}", " and run the command again, nothing that was finished is lost"
        )
    if isinstance(error, FileNotFoundError):
        return f"There is no {where}; check the path."
    if isinstance(error, PermissionError):
        return f"{where} may not be opened by this user; change its permissions or choose another place."
    return f"{where[0].upper()}{where[1:]} could not be read or written ({error.strerror or error}); check the disk and the path."
