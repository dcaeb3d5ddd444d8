"""``anlage train``, ``resume``, ``stop`` and ``watch``: create, continue, stop and watch runs."""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from anlage.cli.arguments import Parser, device_option
from anlage.cli.describe import verdict_lines
from anlage.cli.report import write_report
from anlage.cli.sharing.places import add_slurm, check_places
from anlage.errors import AnlageError
from anlage.shell import command, shell_line
from anlage.training.distributed import World, program
from anlage.wording import plural

if TYPE_CHECKING:
    from anlage.frozen import Frozen
    from anlage.training.run import Run

__all__ = ["model_of", "train_here"]

_STOPPED = 3
"""Exit code of a training that was stopped before there was a model."""
_POLL_S = 0.25
_BIRTH_S = 10.0
"""A trainer takes its run's lock sooner than that."""
_CODES = """\
exit codes:
  0    finished, or stopped by `anlage stop` with the best weights kept in a model
  2    something is wrong, which is said; what was reached is kept
  3    stopped by `anlage stop` before there was a model
  130  stopped by Ctrl-C (SIGINT), 143 by SIGTERM, as a cluster sends it; `anlage resume` goes on"""


def configure_train(parser: Parser) -> None:
    from anlage.tasks import TASKS
    from anlage.training.initial_model import USUAL

    parser.explain(
        "The training ends by itself after a number of steps, whatever else the machine does, or sooner if nothing improves;\n"
        "the time left is told meanwhile. It leaves RUN/NAME.anlage, one file with the network and what is known about it.\n"
        "Ctrl-C or `anlage stop RUN` stops it within 3 s; `anlage resume RUN` goes on.\n\n"
        + textwrap.fill(
            f"Steps: {_usual_steps()}. Other lengths: `--set steps=N` or `epochs=N`, or as many steps as fit into `minutes=N`.",
            115,
        ),
        "anlage train nuclei nuclei.zarr -o run",
        "anlage train nuclei embryo1.zarr embryo2.zarr -o run --set steps=600 seed=1 --device cpu",
    )
    parser.add_argument("task", metavar="TASK", help=f"what to learn: {', '.join(TASKS)}")
    parser.add_argument(
        "stores", metavar="STORE", nargs="+",
        help="training data made by `anlage build`; of events files of signals, or folders of them",
    )  # fmt: skip
    parser.add_argument("-o", "--output", metavar="RUN", required=True, help="folder for the run, a new one")
    parser.add_argument(
        "--set", dest="settings", metavar="name=value", action="append", default=[],
        help="a setting, for example steps=2000, minutes=3 (time limit) or seed=1; may be given several times",
    )  # fmt: skip
    parser.add_argument(
        "--from", dest="start_from", metavar="MODEL", default=USUAL,
        help="start from the weights of this model (a file, a run, or `starter`); its settings that shape the network are taken "
        "over. `none`: fresh weights. By default the starter, where it fits the data and the settings",
    )  # fmt: skip
    device_option(parser)
    add_slurm(parser, ("slurm",))
    parser.epilog = f"{parser.epilog}\n\n{_CODES}\n\n{_settings()}"


def _usual_steps() -> str:
    """The steps of each kind of training where the user sets nothing."""
    from anlage.tasks import TASKS
    from anlage.tasks.nuclei.heads import HEADS

    said = []
    for name, task in TASKS.items():
        for head in HEADS if "head" in task.config.model_fields else ("",):
            config = task.config.model_validate({"head": head} if head else {})
            fresh, adapted = (task.steps_for(config, from_model=from_model) for from_model in (False, True))
            kind = f"{name} (head={head})" if head else name
            said.append(f"{kind} {fresh}" if fresh == adapted else f"{kind} {adapted}, from fresh weights {fresh}")
    return "; ".join(said)


def _settings() -> str:
    """The settings that --set takes, from the configs' own texts."""
    from anlage.tasks import TASKS
    from anlage.training.config import TrainingConfig

    groups: dict[str, type[Frozen]] = {"every training": TrainingConfig}
    groups |= {f"training {name}": task.config for name, task in TASKS.items()}
    lines = []
    for title, config in groups.items():
        lines.append(f"settings of {title} (--set name=value):")
        for name, field in config.model_fields.items():
            default = str(field.get_default(call_default_factory=True)).lower().replace("(", "").replace(",)", "")
            text = " ".join((field.description or "").split())
            lines += textwrap.wrap(
                f"{name}={default}  {text}",
                110,
                initial_indent="  ",
                subsequent_indent="      ",
                break_on_hyphens=False,
            )
        lines.append("")
    return "\n".join(lines).rstrip()


def _start(options: argparse.Namespace) -> str | Path | None:
    """The model to start from, or what stands for it."""
    from anlage.inference.starter import OUTLINER, STARTER
    from anlage.training.initial_model import USUAL

    if options.start_from in (USUAL, "none"):
        return None if options.start_from == "none" else USUAL
    # only the starters come in two dimensions; other training data than stores have none
    flat = options.start_from in (STARTER, OUTLINER) and _is_flat(options.stores[0])
    return model_of(options.start_from, flat=flat)


def run_train(options: argparse.Namespace) -> int:
    from anlage.training.run import Run

    check_places(options)
    world = World.from_environment()
    with world.connected():
        world.first_begins(lambda: _begin(options))
        return _train_where(Run.open(options.output), options)


def _begin(options: argparse.Namespace) -> None:
    """Make the run, and say so."""
    from anlage.training.config import assign
    from anlage.training.run import Run

    device = [] if options.device == "auto" else [f"device={options.device}"]
    settings = [*options.settings, *device]
    start_from = _start(options)
    chosen, _ = assign(options.task, settings)
    if chosen.device != "auto":  # before there is a run; torch, which knows, is needed in any case
        from anlage.networks.device import choose_device

        choose_device(chosen.device)
    run = Run.create(options.output, options.task, options.stores, settings, start_from=start_from)
    if run.replaced:
        print(f"The earlier run in {options.output} had come to nothing (no checkpoint); it is replaced.")
    stores = plural(len(run.config.stores), "store")
    print(f"Training {options.task} on {stores}; everything about it goes to {run.path}.")
    _print_folders(options)
    print(f"Follow it elsewhere with `{command('watch', Path(options.output))}`; stop it with Ctrl-C.")


def _print_folders(options: argparse.Namespace) -> None:
    """What each file of a folder of signals holds."""
    from anlage.cli.info_signals import signal_set_lines

    for folder in (store for store in options.stores if options.task == "events" and Path(store).is_dir()):
        for line in signal_set_lines(Path(folder), run_event(options.settings)):
            print(line)


def run_event(settings: Sequence[str]) -> str:
    """The event that was asked for among several in a file; empty where none was."""
    named = [setting.partition("=")[2] for setting in settings if setting.startswith("event=")]
    return named[-1].strip() if named else ""


def _is_flat(store: str) -> bool:
    """Whether a store holds single planes."""
    from anlage.dataset.store import Store

    return Store.open(store).shape_tzyx[1] == 1


def configure_resume(parser: Parser) -> None:
    parser.explain(
        "The training continues exactly where its last checkpoint left it; the result is the same as without the break.",
        "anlage resume run",
    )
    parser.add_argument("run", metavar="RUN", help="folder made by `anlage train`")
    add_slurm(parser, ("slurm",))


def run_resume(options: argparse.Namespace) -> int:
    from anlage.training.run import Run

    check_places(options)
    run = Run.open(options.run)
    if run.state == "finished":
        print(f"This training is finished: its model is {run.model_path}.")
        if run.model_path is not None:
            print(verdict_lines(run.model_path))
        return 0
    with World.from_environment().connected():
        return _train_where(run, options)


def _train_where(run: Run, options: argparse.Namespace) -> int:
    """Train here, in several processes, or in a job of SLURM."""
    if options.on is not None:
        from anlage.cli.sharing.training_jobs import submit_training

        return submit_training(run, options)
    if run.config.training.processes > 1 and World.from_environment().is_alone:
        return _train_together(run)
    return train_here(run)


def _train_together(run: Run) -> int:
    """Train in several processes, which are stopped as one: by the run's stop file."""
    words = [*program(run.config.training.processes), "resume", str(run.path)]
    # in a group of their own: Ctrl-C comes here, and would end them without a last word
    with (
        subprocess.Popen(words, start_new_session=os.name == "posix") as launcher,
        _stopping_on_interrupt(run) as caught,
    ):
        code = launcher.wait()
    return 128 + caught[0] if caught else code


def configure_stop(parser: Parser) -> None:
    parser.explain(
        "The training, or the prediction, stops within 3 s and can be resumed; jobs that wait in SLURM are cancelled.",
        "anlage stop run",
        "anlage stop found.csv",
    )
    parser.add_argument("run", metavar="RUN", help="folder made by `anlage train`, or the output of a prediction")


def run_stop(options: argparse.Namespace) -> int:
    from anlage.cli.sharing.looking import is_prediction, stop_prediction
    from anlage.cli.sharing.slurm_jobs import cancel, jobs_folder
    from anlage.training.run import Run

    if is_prediction(options.run):
        return stop_prediction(Path(options.run))
    run = Run.open(options.run)
    state = run.state
    if state != "running":
        cancelled = cancel(jobs_folder(Path(options.run)))
        waiting = f" {plural(cancelled, 'job')} of SLURM cancelled." if cancelled else ""
        print(f"Nothing trains in {options.run} now (it is {state}).{waiting}")
        return 0
    run.request_stop()
    deadline = time.monotonic() + 15
    while run.state == "running" and time.monotonic() < deadline:
        time.sleep(_POLL_S)
    if run.state == "running":
        raise AnlageError(
            f"The training in {options.run} was asked to stop but is still busy; look with `{command('watch', Path(options.run))}`."
        )
    kept = f"The best weights so far are in {run.model_path}" if run.model_path else "There were no weights to keep yet"
    print(f"Stopped. {kept}; go on with `{command('resume', Path(options.run))}`.")
    if run.model_path:
        print(verdict_lines(run.model_path))
    return 0


def configure_watch(parser: Parser) -> None:
    parser.explain(
        "Shows what a training, or a prediction, does, live, until it ends. Ctrl-C ends only the watching.",
        "anlage watch run",
        "anlage watch found.csv",
    )
    parser.add_argument("run", metavar="RUN", help="folder made by `anlage train`, or the output of a prediction")


def run_watch(options: argparse.Namespace) -> int:
    from anlage.cli.sharing.looking import is_prediction, watch_prediction
    from anlage.cli.training_output import Follower
    from anlage.training.run import Run

    if is_prediction(options.run):
        return watch_prediction(Path(options.run))
    run = Run.open(options.run)
    with Follower(run) as follower:
        patience = time.monotonic() + _BIRTH_S
        while (news := follower.poll()) or run.state in ("new", "running"):
            if news or run.state == "running":
                patience = time.monotonic() + _BIRTH_S
            elif time.monotonic() > patience:
                raise AnlageError(
                    f"Nothing trains in {options.run}; start it with `{command('resume', Path(options.run))}`."
                )
            time.sleep(_POLL_S)
        follower.poll()
    if (failure := run.failure) is not None:
        raise AnlageError(f"The training in {options.run} broke off: {failure.sentence}")
    if run.model_path is not None:
        print(verdict_lines(run.model_path))
    print(f"The run is {run.state}.")
    return 0


def train_here(run: Run) -> int:
    """Train in this process, showing progress, and say what came of it; of several processes the first one does that for all."""
    from anlage.cli.training_output import Follower
    from anlage.tasks import task_named
    from anlage.training.process import train

    if not World.from_environment().is_first:
        with _stopping_on_interrupt(run) as caught:
            train(run)
        return 128 + caught[0] if caught else 0
    try:
        with _stopping_on_interrupt(run) as caught, Follower(run) as follower:
            model = train(run, on_event=follower.show)
    except KeyboardInterrupt:  # a second Ctrl-C
        kept = "What was saved last is kept" if run.has_checkpoint else "No weights were saved yet"
        raise KeyboardInterrupt(f"{kept}; go on with `{command('resume', run.path)}`.") from None
    if run.state == "finished" and model is not None:
        use = task_named(run.config.task).use.format(model=shell_line([model]))
        print(f"Finished. The model is {model}\n{verdict_lines(model)}\nUse it: {use}")
        _draw(run)
        return 0
    print(
        f"Stopped; go on with `{command('resume', run.path)}`."
        + (f"\nThe best so far is {model}\n{verdict_lines(model)}" if model else "")
    )
    if caught:
        return 128 + caught[0]
    return 0 if model is not None else _STOPPED


def _draw(run: Run) -> None:
    """Put pictures of how good it is beside the model; without them the training is complete all the same."""
    try:
        drawn = write_report(run)
    except (OSError, AnlageError) as error:
        print(f"Its pictures were not drawn ({error}); `{command('report', run.path)}` does it.", file=sys.stderr)
        return
    if drawn:
        print(f"Pictures of how good it is: {run.report_path}")


@contextlib.contextmanager
def _stopping_on_interrupt(run: Run) -> Iterator[list[int]]:
    """Ctrl-C and SIGTERM ask the training to stop; a second Ctrl-C breaks it off.

    Yields the signals that came.
    """
    caught: list[int] = []

    def ask(number: int, frame: FrameType | None) -> None:
        if caught:
            if number == signal.SIGINT:
                raise KeyboardInterrupt
            return
        caught.append(number)
        run.request_stop()
        print("\nStopping within 3 s; the best weights are kept.", file=sys.stderr)

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield caught
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def model_of(path: str | Path, *, flat: bool = False) -> Path:
    """A model given as its file, as the run folder that made it, or by the starter's name (for single planes: `flat`)."""
    from anlage.inference.starter import OUTLINER, STARTER, STARTERS, starter_path
    from anlage.io.kinds import MODELS, check_kind

    if str(path) in STARTERS and not Path(path).exists():
        name = str(path)
        return starter_path(flat=flat or name not in (STARTER, OUTLINER), outlines=name.startswith(OUTLINER))
    given = Path(path)
    check_kind(
        given, MODELS, "a model is needed here: give a model file, a run, `starter` or a Keras network of miniML"
    )
    if not (given / "run.json").is_file():
        return given
    from anlage.training.run import Run

    run = Run.open(given)
    if run.model_path is None:
        raise AnlageError(
            f"The run {path} has no model yet (it is {run.state}); go on with `{command('resume', Path(path))}`."
        )
    return run.model_path
