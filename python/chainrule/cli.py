"""The command `chainrule`: its arguments and what it prints. What is trained, and how, stands in `training_tasks`.

Exit codes: 0 done, 1 the training failed, 2 the arguments or the data are wrong (one sentence on standard error),
130 stopped with Ctrl-C, 141 nobody reads the output any more. Results go to standard output, progress to standard
error. There are no settings files.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from .preprocessing import confusion_table

if TYPE_CHECKING:
    from .callbacks import Callback
    from .training_tasks import Outcome, Settings, Task

# Chosen by the validation loss, means over thirty splits of the digits; early stopping ends most runs before the
# last epoch. Tables are small as a rule, and then dropout costs more than it gives.
_DEFAULTS: dict[str, dict[str, object]] = {
    "digits": {"epochs": 30, "batch_size": 16, "hidden": (256, 128), "dropout": 0.3},
    "mnist": {"epochs": 30, "batch_size": 32, "hidden": (256, 128), "dropout": 0.3},
    "table": {"epochs": 200, "batch_size": 32, "hidden": (64, 32), "dropout": 0.0},
}
_MOST_LINES = 30  # of plain progress, however many epochs there are
_MOST_CLASSES = 30  # a wider confusion table does not fit on a page


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code.

    Parameters
    ----------
    arguments : sequence of str, optional
        Without the command's own name; by default those of this process.
    """
    _never_fail_to_print()
    try:
        try:
            words = sys.argv[1:] if arguments is None else arguments
            options = _parser(words).parse_args(words)
            action: Callable[[argparse.Namespace], int] = options.action
            return action(options)
        finally:
            sys.stdout.flush()  # here, and not when Python ends, a reader that has left can be told
    except KeyboardInterrupt:
        print("\nchainrule: stopped", file=sys.stderr)
        return 130
    except BrokenPipeError:
        _forget_the_output()
        return 141  # as a shell says it of a command that ends this way: 128 + SIGPIPE
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return _complain(f"{where}{error.strerror or error}")
    except (ValueError, ImportError) as error:
        return _complain(str(error))


def _complain(sentence: str) -> int:
    print(f"chainrule: {sentence}", file=sys.stderr)
    return 2


def _never_fail_to_print() -> None:
    """Let names from the data that the terminal cannot show become question marks instead of errors."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")


def _forget_the_output() -> None:
    """Send what is still to be written nowhere: Python, at its end, would complain that it cannot be."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BrokenPipeError:
            os.dup2(nowhere, stream.fileno())


# ----------------------------------------------------------------------------------------------------- The arguments


class _Parser(argparse.ArgumentParser):
    """A parser whose complaint is one sentence; the usage is what --help is for."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}; see {self.prog} --help\n")


def _parser(words: Sequence[str]) -> argparse.ArgumentParser:
    parser = _Parser(prog="chainrule", description="Neural-network training, from the chain rule to the metal.")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    info = commands.add_parser("info", help="say what this build is and what it runs on")
    info.set_defaults(action=_info)
    _add_train(commands.add_parser("train", help="train a network and write it to a folder", epilog=_TRAIN_EPILOG))
    bench = commands.add_parser("bench", help="measure speed, beside other libraries", epilog=_BENCH_EPILOG)
    if "bench" in words:  # its arguments come from the benchmarks, which no other command should wait for
        from .bench.command import add_arguments

        add_arguments(bench)
    ladder = commands.add_parser(
        "ladder",
        help="train one network in Python, NumPy, Numba, Cython, C++ and CUDA, in turns",
        epilog=_LADDER_EPILOG,
    )
    if "ladder" in words:
        from .ladder.command import add_arguments as add_rungs

        add_rungs(ladder)
    return parser


_TRAIN_EPILOG = """DATA is "digits" (scikit-learn's 1,797 handwritten digits), "mnist" (a folder of IDX files) or a CSV
file whose first line names the columns. Of the rows, 70 % are to train, 15 % to validate (early stopping, best weights
kept) and 15 % to test. MNIST has test files of its own: of its other rows 85 % are to train and 15 % to validate. The
parts are the same for every seed."""

_BENCH_EPILOG = """Without GROUP all groups are measured. Other libraries take part if they are installed:
pip install "chainrule[bench]", and PyTorch, which is not in that extra: its usual build brings gigabytes of CUDA. A run
that leaves nothing out is stored as FOLDER/GROUP.json, any other only if --results names a folder. Nothing else should
run on the machine meanwhile."""

_LADDER_EPILOG = """Each rung is a short file below chainrule/ladder. All are first proven to compute the same, step by
step; then they take turns. A rung that cannot run here is left out, and it is said why. Nothing else should run on the
machine meanwhile."""


def _add_train(train: argparse.ArgumentParser) -> None:
    from .optimizers import KNOWN

    def default(name: str) -> str:
        return "default: " + ", ".join(f"{source} {_shown(values[name])}" for source, values in _DEFAULTS.items())

    train.set_defaults(action=_train)
    train.add_argument("source", metavar="DATA", help="digits, mnist or a CSV file")
    train.add_argument("--data", metavar="FOLDER", help="for mnist: the folder of IDX files, plain or .gz")
    train.add_argument("--target", metavar="COLUMN", help="for a CSV file: the column to predict")
    train.add_argument(
        "--task",
        choices=("auto", "classification", "regression"),
        default="auto",
        help="for a CSV file; auto: classes where the target is text or a few whole numbers",
    )
    train.add_argument("--epochs", type=_whole, metavar="N", help=f"at most so many ({default('epochs')})")
    train.add_argument("--batch-size", type=_whole, metavar="N", help=f"rows of a step ({default('batch_size')})")
    train.add_argument(
        "--hidden", type=_hidden, metavar="N,N,...", help=f"units of the hidden layers, or none ({default('hidden')})"
    )
    train.add_argument("--dropout", type=_rate, metavar="RATE", help=f"share switched off ({default('dropout')})")
    train.add_argument("--optimizer", choices=tuple(KNOWN), default="adam", help="default: adam")
    train.add_argument("--lr", type=_positive, metavar="RATE", help="learning rate (default: the optimizer's own)")
    train.add_argument("--seed", type=_seed, default=0, metavar="N", help="start, order and dropout (default: 0)")
    train.add_argument("--out", type=Path, metavar="FOLDER", help="what to write into (default: ./chainrule-NAME)")
    train.add_argument("--no-progress", action="store_true", help="print the results only")


def _whole(text: str, least: int = 1, most: int = 2**31 - 1) -> int:
    try:
        number = int(text)
    except ValueError:
        number = least - 1
    if not least <= number <= most:
        raise argparse.ArgumentTypeError(f"expected a whole number from {least} to {most}; got {text!r}")
    return number


def _seed(text: str) -> int:
    return _whole(text, 0, 2**64 - 1)


def _positive(text: str) -> float:
    number = _float(text)
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"expected a number above 0; got {text!r}")
    return number


def _rate(text: str) -> float:
    number = _float(text)
    if not 0 <= number < 1:
        raise argparse.ArgumentTypeError(f"expected a number from 0 to below 1; got {text!r}")
    return number


def _float(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan  # outside every range


def _hidden(text: str) -> tuple[int, ...]:
    if text == "none":
        return ()
    try:
        return tuple(_whole(units) for units in text.split(","))
    except argparse.ArgumentTypeError:
        raise argparse.ArgumentTypeError(f"expected units such as 128,64, or none; got {text!r}") from None


def _shown(value: object) -> str:
    """Return a default as it would be typed."""
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


# -------------------------------------------------------------------------------------------------------------- info


def _info(_: argparse.Namespace) -> int:
    """Print what this build is and what it runs on."""
    from .versions import show_versions

    show_versions()
    return 0


# ------------------------------------------------------------------------------------------------------------- train


def _train(options: argparse.Namespace) -> int:
    """Train on the data that the options name; print and write what came of it."""
    import warnings

    from . import training_tasks
    from .divergence import DivergenceWarning

    _check_extras()
    task = _task(options)
    settings = _settings(options)
    net = training_tasks.network(task, settings)
    folder = options.out or Path(f"chainrule-{task.name}")
    _make_writable(folder)
    _print_header(task, settings)

    begin = time.perf_counter()
    verbose, callbacks = _progress(options, settings.epochs)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", DivergenceWarning)
            outcome = training_tasks.train(net, task, settings, verbose=verbose, callbacks=callbacks)
    except DivergenceWarning as warning:
        print(f"chainrule: {warning}", file=sys.stderr)
        return 1
    seconds = time.perf_counter() - begin
    files = training_tasks.write(outcome, folder)  # first: whoever reads the output may leave before its end
    _print_outcome(outcome, seconds)
    _print_files(outcome, files)
    return 0


def _check_extras() -> None:
    """Raise ImportError now rather than after the training, when the results cannot be written."""
    from importlib.util import find_spec

    for package, extra in (("safetensors", "export"), ("matplotlib", "plot")):
        if find_spec(package) is None:
            raise ImportError(f'chainrule train needs {package}: pip install "chainrule[{extra}]"')


def _make_writable(folder: Path) -> None:
    """Make the folder and write to it, before the training, so that a wrong path costs nothing."""
    import tempfile

    folder.mkdir(parents=True, exist_ok=True)
    try:
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise ValueError(f"cannot write to the folder {folder}: {error.strerror}") from None


def _task(options: argparse.Namespace) -> Task:
    """Return the task that the options name, after checking that they fit together."""
    from . import training_tasks

    kind = _kind(options.source)
    if kind != "mnist" and options.data is not None:
        raise ValueError(f"--data is for mnist; {options.source} needs none")
    if kind != "table" and (options.target is not None or options.task != "auto"):
        raise ValueError(f"--target and --task are for CSV files; {options.source} needs none")
    if kind == "digits":
        return training_tasks.digits_task()
    if kind == "mnist":
        if options.data is None:
            raise ValueError("mnist needs --data FOLDER, the folder of IDX files")
        return training_tasks.mnist_task(options.data)
    if options.target is None:
        raise ValueError(f"{options.source} needs --target COLUMN, the column to predict")
    return training_tasks.table_task(options.source, options.target, options.task)


def _kind(source: str) -> str:
    """Return the key of `_DEFAULTS` that `source` falls under."""
    if source in ("digits", "mnist"):
        return source
    if not Path(source).is_file():
        raise ValueError(f"DATA {source!r} is unknown; expected digits, mnist or a CSV file, and there is no such file")
    return "table"


def _settings(options: argparse.Namespace) -> Settings:
    """Return the settings, with the defaults of the kind of data where an option was not given."""
    from .training_tasks import Settings

    values = dict(_DEFAULTS[_kind(options.source)])
    values.update({name: getattr(options, name) for name in values if getattr(options, name) is not None})
    return Settings(**values, optimizer=options.optimizer, lr=options.lr, seed=options.seed)  # type: ignore[arg-type]


def _progress(options: argparse.Namespace, epochs: int) -> tuple[bool, list[Callback]]:
    """Return `verbose` and the callbacks: a bar on a terminal, plain lines elsewhere, nothing if asked."""
    from importlib.util import find_spec

    from .callbacks import Callback
    from .progress import figures, somebody_watches

    class PlainLines(Callback):
        """A line for some epochs, for files and pipes, where a bar would leave thousands of pieces."""

        def on_epoch_end(self, epoch: int, logs: Mapping[str, float]) -> None:
            if epoch == 1 or epoch % math.ceil(epochs / _MOST_LINES) == 0:
                print(f"epoch {epoch}/{epochs}  {figures(logs)}", file=sys.stderr)

    if options.no_progress:
        return False, []
    return (True, []) if somebody_watches() and find_spec("tqdm") else (False, [PlainLines()])


# ------------------------------------------------------------------------------------------------------ what it says


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _print_header(task: Task, settings: Settings) -> None:
    rows = sum(len(y) for _, y in task.parts.values())
    outputs = 1 if task.classes is None else len(task.classes)
    what = f"regression of {task.target!r}" if task.classes is None else f"{outputs} classes"
    widths = "-".join(map(str, (len(task.inputs), *settings.hidden, outputs)))
    rate = "" if settings.lr is None else f" {settings.lr:g}"
    # In one piece: a reader that leaves after the first line does not stop the training. Flushed, so that it comes
    # before the progress on the other stream.
    sys.stdout.write(
        f"{task.name}: {_count(rows, 'row')}, {_count(len(task.inputs), 'input')}, {what}\n"
        f"network {widths}, dropout {settings.dropout:g}; {settings.optimizer}{rate}, "
        f"batches of {settings.batch_size}, seed {settings.seed}\n"
    )
    sys.stdout.flush()


def _print_outcome(outcome: Outcome, seconds: float) -> None:
    history = outcome.history
    print(f"stopped after {_count(history.epochs, 'epoch')}, {seconds:.1f} s: {history.stop_reason}")
    print(f"the weights are those of epoch {history.best_epoch}, with the least validation loss\n")
    print(_figures_table(outcome))
    if outcome.targets is not None:
        print(f"\nloss: mean squared error of the standardised target; RMSE: in units of {outcome.task.target!r}")
    if outcome.confusion is None or outcome.task.classes is None:
        return
    if len(outcome.task.classes) > _MOST_CLASSES:
        print(f"\n(no confusion table of more than {_MOST_CLASSES} classes)")
        return
    print("\ntest rows by true class (down) and predicted class (across):\n")
    print(confusion_table(outcome.confusion, outcome.task.classes))


def _figures_table(outcome: Outcome) -> str:
    """Return the loss and the scores of each part as text."""
    columns: dict[str, tuple[str, Callable[[float], str]]] = {"loss": ("loss", "{:.4f}".format)}
    if outcome.targets is None:
        columns["accuracy"] = ("accuracy", "{:.2%}".format)
    else:
        columns |= {"rmse": ("RMSE", "{:.4g}".format), "r2": ("R^2", "{:.4f}".format)}
    lines = [f"{'':<10}{'rows':>9}" + "".join(f"{title:>12}" for title, _ in columns.values())]
    for name, (_, y) in outcome.task.parts.items():
        shown = "".join(f"{form(outcome.figures[name][key]):>12}" for key, (_, form) in columns.items())
        lines.append(f"{name:<10}{len(y):>9,}{shown}")
    return "\n".join(lines)


def _print_files(outcome: Outcome, files: Sequence[tuple[Path, str]]) -> None:
    print("\nwritten:")
    width = max(len(str(path)) for path, _ in files)
    for path, what in files:
        print(f"  {path!s:<{width}}  {what}")
    model, _, preparation = (str(path) for path, _ in files)
    if outcome.task.classes is None:
        answer = 'outputs[:, 0] * known["target_scale"] + known["target_mean"]'
    else:
        answer = '[known["classes"][k] for k in outputs.argmax(axis=1)]'
    print(f"""
to use it again, with rows X of {_count(len(outcome.task.inputs), "input")}, in the order of known["inputs"]:
  import json, pathlib, chainrule
  net = chainrule.load({model!r})
  known = json.loads(pathlib.Path({preparation!r}).read_text())
  outputs = net.predict((X - known["means"]) / known["scales"])
  answers = {answer}""")
