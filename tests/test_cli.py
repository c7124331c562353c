"""The command line: what it prints is what the written files give again, and bad input is one sentence and exit code 2.

Small tables, made here, keep the runs short; one run is a process of its own.
"""

from __future__ import annotations

import gzip
import json
import os
import re
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule
from chainrule.cli import main
from chainrule.tables import read_csv
from chainrule.training_tasks import table_task

pytest.importorskip("safetensors", reason="chainrule train writes its network with safetensors")
pytest.importorskip("matplotlib", reason="chainrule train draws its learning curves with matplotlib")

QUICK = ["--no-progress", "--epochs", "3", "--hidden", "8"]


def flowers(folder: Path, rows: int = 120) -> Path:
    """Write a table of two numbers, a colour and the kind that follows from them, with a byte-order mark."""
    random = np.random.default_rng(0)
    lines = ["length;width;colour;kind"]
    for _ in range(rows):
        kind = int(random.integers(3))
        length, width = random.normal([10 + 20 * kind, 1000 - 300 * (kind % 2)], [2, 30])
        lines.append(f"{length:.3f};{width:.3f};{('red', 'white')[kind == 2]};{('iris', 'lily', 'rose')[kind]}")
    path = folder / "flowers.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8-sig")
    return path


def houses(folder: Path, rows: int = 200) -> Path:
    """Write a table of prices, 2000 for each square metre and 50000 more in town, with noise of 5000."""
    random = np.random.default_rng(1)
    lines = ["area,place,price"]
    for _ in range(rows):
        area, place = random.uniform(30, 200), random.choice(["town", "village"])
        price = 2000 * area + 50_000 * (place == "town") + random.normal(0, 5000)
        lines.append(f"{area:.2f},{place},{price:.2f}")
    path = folder / "houses.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def printed_table(text: str) -> dict[str, list[float]]:
    """Return the numbers of the lines "training", "validation" and "test": rows, loss and scores."""
    lines = re.findall(r"^(training|validation|test) +([\d,]+) +(\S+) +(\S+)(?: +(\S+))?$", text, re.MULTILINE)
    return {
        name: [float(figure.rstrip("%").replace(",", "")) for figure in figures if figure] for name, *figures in lines
    }


def answers_as_told(text: str, X: np.ndarray) -> tuple[Any, dict[str, Any]]:
    """Run the lines that the command prints under "to use it again", and return their answers for the rows X."""
    lines = text.split("to use it again")[1].splitlines()[1:]
    names: dict[str, Any] = {"X": X}
    exec("\n".join(line.strip() for line in lines), names)
    return names["answers"], names["known"]


def test_classification(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, out = flowers(tmp_path), tmp_path / "a folder" / "below"
    arguments = ["train", str(path), "--target", "kind", "--out", str(out), "--epochs", "40", "--no-progress"]
    assert main(arguments) == 0
    text = capsys.readouterr().out
    assert "120 rows, 4 inputs, 3 classes" in text
    figures = printed_table(text)
    assert [figures[part][0] for part in ("training", "validation", "test")] == [84, 18, 18]
    # The kinds lie ten standard deviations apart.
    assert figures["test"][2] >= 94
    assert sorted(file.name for file in out.iterdir()) == ["curves.png", "model.safetensors", "preprocessing.json"]
    assert (out / "curves.png").read_bytes().startswith(b"\x89PNG")

    table = read_csv(path, "kind")
    answers, known = answers_as_told(text, table.X)
    assert known["inputs"] == ["length", "width", "colour=red", "colour=white"]
    assert known["columns"][2] == {"name": "colour", "categories": ["red", "white"]}
    assert known["classes"] == ["iris", "lily", "rose"]
    right = np.array(answers) == np.array(known["classes"])[table.y]
    # Accuracies are printed to a hundredth of a percent: so many rows are right in all parts together.
    expected = sum(rows * accuracy / 100 for rows, _, accuracy in figures.values())
    assert abs(np.count_nonzero(right) - expected) < 0.02
    # The confusion table counts every test row, those predicted right on its diagonal.
    rows = [line.split("|")[1].replace(".", "0").split() for line in text.splitlines() if re.match(r" *\w+ \|", line)]
    confusion = np.array(rows[1:], dtype=int)
    assert rows[0] == ["iris", "lily", "rose"]
    assert confusion.sum() == figures["test"][0]
    assert abs(confusion.trace() / confusion.sum() * 100 - figures["test"][2]) <= 0.005


def test_regression(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, out = houses(tmp_path), tmp_path / "out"
    arguments = ["train", str(path), "--target", "price", "--out", str(out), "--no-progress", "--seed", "3"]
    assert main(arguments) == 0
    text = capsys.readouterr().out
    assert "200 rows, 3 inputs, regression of 'price'" in text
    figures = printed_table(text)
    # The noise alone has a root mean square of 5000; prices spread over some 100,000.
    assert 3000 < figures["test"][2] < 8000
    assert figures["test"][3] > 0.99

    table = read_csv(path, "price")
    answers, known = answers_as_told(text, table.X)
    assert (known["task"], known["target"]) == ("regression", "price")
    squares = float(np.sum((answers - table.y) ** 2))
    expected = sum(rows * rmse**2 for rows, _, rmse, _ in figures.values())
    # Printed with four digits, squared: each figure is off by at most 2 * 0.0005 of itself.
    assert abs(squares - expected) <= 1e-3 * expected


def test_the_task_can_be_overridden(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "bits.csv"
    path.write_text("a,y\n" + "".join(f"{i},{i % 2}\n" for i in range(40)))
    for task, word in (("auto", "2 classes"), ("regression", "regression of 'y'")):
        assert main(["train", str(path), "--target", "y", "--task", task, "--out", str(tmp_path / task), *QUICK]) == 0
        assert word in capsys.readouterr().out


def test_mnist_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Tiny pictures in the form of MNIST: a bright row says which class."""
    for name, rows in (("train", 200), ("t10k", 50)):
        labels = np.arange(rows, dtype=np.uint8) % 4
        pixels = np.random.default_rng(rows).integers(0, 60, (rows, 4, 4), dtype=np.uint8)
        pixels[np.arange(rows), labels] += 150
        for kind, array in (("images-idx3", pixels), ("labels-idx1", labels)):
            head = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
            (tmp_path / f"{name}-{kind}-ubyte.gz").write_bytes(gzip.compress(head + array.tobytes()))
    arguments = ["train", "mnist", "--data", str(tmp_path), "--out", str(tmp_path / "out"), "--no-progress"]
    assert main([*arguments, "--optimizer", "momentum", "--lr", "0.05", "--hidden", "16,8", "--dropout", "0"]) == 0
    text = capsys.readouterr().out
    assert "network 16-16-8-4, dropout 0; momentum 0.05" in text
    figures = printed_table(text)
    assert [figures[part][0] for part in ("training", "validation", "test")] == [170, 30, 50]
    assert figures["test"][2] == 100


def test_digits(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("sklearn", reason="the digits come with scikit-learn")
    assert main(["train", "digits", "--out", str(tmp_path), "--no-progress"]) == 0
    figures = printed_table(capsys.readouterr().out)
    assert figures["test"][2] >= 97.5
    known = json.loads((tmp_path / "preprocessing.json").read_text())
    assert known["classes"] == [str(digit) for digit in range(10)]
    assert chainrule.load(tmp_path / "model.safetensors").outputs == 10


def test_linear_network_and_the_same_seed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(flowers(tmp_path))
    files = []
    for out, seed in (("a", "1"), ("b", "1"), ("c", "2")):
        arguments = ["train", path, "--target", "kind", "--out", str(tmp_path / out), "--epochs", "2", "--no-progress"]
        assert main([*arguments, "--hidden", "none", "--seed", seed]) == 0
        files.append((tmp_path / out / "model.safetensors").read_bytes())
    assert "network 4-3," in capsys.readouterr().out
    assert files[0] == files[1] != files[2]


def test_every_option_reaches_the_training(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(flowers(tmp_path))
    options: dict[str, list[str]] = {
        "plain": [],
        "batch size": ["--batch-size", "7"],
        "dropout": ["--dropout", "0.25"],
        "hidden": ["--hidden", "9"],
        "optimizer": ["--optimizer", "sgd"],
        "rate": ["--lr", "0.002"],
        "epochs": ["--epochs", "2"],
    }
    models = {}
    for name, given in options.items():
        assert main(["train", path, "--target", "kind", "--out", str(tmp_path / name), *QUICK, *given]) == 0
        models[name] = (tmp_path / name / "model.safetensors").read_bytes()
    assert len(set(models.values())) == len(models)
    assert chainrule.load(tmp_path / "dropout" / "model.safetensors").layers[1] == chainrule.Dropout(rate=0.25)
    assert "loss: mean squared error" not in capsys.readouterr().out


def test_early_stopping(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # Classes that follow from nothing: what is learned of the training part is wrong for the others, and ever more so.
    random = np.random.default_rng(2)
    path = tmp_path / "noise.csv"
    rows = [f"{','.join(f'{x:.3f}' for x in random.normal(size=6))},{random.integers(2)}" for _ in range(150)]
    path.write_text("a,b,c,d,e,f,y\n" + "\n".join(rows) + "\n")
    assert main(["train", str(path), "--target", "y", "--out", str(tmp_path / "out"), "--no-progress"]) == 0
    text = capsys.readouterr().out
    epochs, best = (int(n) for n in re.findall(r"(?:stopped after|those of epoch) (\d+)", text))
    assert epochs == best + 8 < 200


def test_the_scales_are_those_of_the_training_part(tmp_path: Path) -> None:
    path, out = flowers(tmp_path), tmp_path / "out"
    assert main(["train", str(path), "--target", "kind", "--out", str(out), *QUICK]) == 0
    known = json.loads((out / "preprocessing.json").read_text())
    X = table_task(str(path), "kind").training[0]
    # Sums of 84 numbers: wrong by less than 84 eps of their size.
    np.testing.assert_allclose(known["means"], X.mean(axis=0), rtol=1e-13)
    np.testing.assert_allclose(known["scales"], X.std(axis=0), rtol=1e-13)
    everything = read_csv(path, "kind").X
    assert (abs(everything.mean(axis=0) - known["means"]) > 1e-6 * everything.std(axis=0)).all()


def test_one_is_no_plural_and_the_loss_says_its_unit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "line.csv"
    path.write_text("a,y\n" + "".join(f"{i},{i}.5\n" for i in range(20)))
    arguments = ["train", str(path), "--target", "y", "--out", str(tmp_path / "out"), "--no-progress", "--epochs", "1"]
    assert main(arguments) == 0
    text = capsys.readouterr().out
    assert "20 rows, 1 input, regression" in text
    assert "stopped after 1 epoch," in text
    assert "with rows X of 1 input, in" in text
    assert "loss: mean squared error of the standardised target; RMSE: in units of 'y'" in text


def test_plain_lines_where_there_is_no_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["train", str(flowers(tmp_path)), "--target", "kind", "--out", str(tmp_path / "out")]
    assert main([*arguments, "--epochs", "90", "--hidden", "4", "--lr", "0.0001"]) == 0
    lines = capsys.readouterr().err.splitlines()
    assert [line.split()[1] for line in lines] == ["1/90", *(f"{epoch}/90" for epoch in range(3, 91, 3))]
    assert all(re.search(r"loss=\d.*val_loss=\d.*accuracy=", line) for line in lines)


def test_a_run_as_a_process(tmp_path: Path) -> None:
    command = [sys.executable, "-W", "error", "-m", "chainrule", "train", str(flowers(tmp_path)), "--target", "kind"]
    # An ASCII terminal must not stop it.
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    done = subprocess.run(
        [*command, *QUICK], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "chainrule-flowers" / "model.safetensors").is_file()
    assert "chainrule-flowers" in done.stdout


@pytest.mark.skipif(os.name == "nt", reason="Windows sends Ctrl-C to a whole group of processes")
def test_control_c(tmp_path: Path) -> None:
    path, out = flowers(tmp_path, rows=3000), tmp_path / "out"
    command = [sys.executable, "-m", "chainrule", "train", str(path), "--target", "kind", "--out", str(out)]
    # 2,100 steps an epoch, each of which writes 4 million weights: a single epoch takes longer than this test waits.
    long = ["--batch-size", "1", "--hidden", "2000,2000", "--no-progress"]
    with subprocess.Popen([*command, *long], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()  # the header: the training is about to begin
        process.stdout.readline()
        time.sleep(1)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors.strip() == "chainrule: stopped"
    assert not list(out.iterdir())


# argparse passes over it by itself, where nothing is left to be written at the end.
@pytest.mark.parametrize(("arguments", "codes"), [(["info"], {141}), (["train", "--help"], {0, 141})])
def test_a_reader_that_has_left(arguments: list[str], codes: set[int]) -> None:
    read, write = os.pipe()
    os.close(read)  # as in `chainrule ... | head`, after head has had enough
    command = [sys.executable, "-m", "chainrule", *arguments]
    done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    os.close(write)
    assert done.stderr == ""
    assert done.returncode in codes


def test_a_reader_that_leaves_early_costs_no_training(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "chainrule", "train", str(flowers(tmp_path)), "--target", "kind", *QUICK]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == ""
    assert process.returncode == 141
    assert (tmp_path / "chainrule-flowers" / "model.safetensors").is_file()


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="needs a folder that not even the superuser can write to")
def test_a_folder_that_cannot_be_written_to_is_told_before_the_training(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", str(flowers(tmp_path)), "--target", "kind", "--out", "/proc/self"]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("chainrule: cannot write to the folder /proc/self: ")
    assert printed.err.count("\n") == 1


def test_info(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info"]) == 0
    text = capsys.readouterr().out
    facts = dict(re.findall(r"^(\S.*?)  +(.*)$", text, re.MULTILINE))
    assert facts["chainrule"] == chainrule.__version__
    assert facts["numpy"] == np.__version__
    assert {"compiler", "instruction set", "threads", "GPU"} <= facts.keys()


def test_help_names_the_defaults(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["train", "--help"])
    assert caught.value.code == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "digits 30, mnist 30, table 200" in text
    assert "digits 256,128" in text
    assert "70 % are to train, 15 % to validate" in text
    assert "MNIST has test files of its own: of its other rows 85 % are to train and 15 % to validate" in text


BAD_ARGUMENTS = {
    "no command": ([], "COMMAND"),
    "unknown command": (["fly"], "fly"),
    "no data": (["train"], "DATA"),
    "unknown option": (["train", "digits", "--speed", "1"], "--speed"),
    "unknown data": (["train", "didgits"], "expected digits, mnist or a CSV file"),
    "a folder for a file": (["train", "FOLDER", "--target", "y"], "expected digits, mnist or a CSV file"),
    "no target": (["train", "FLOWERS"], "--target COLUMN"),
    "unknown target": (["train", "FLOWERS", "--target", "kinds"], "'length', 'width', 'colour', 'kind'"),
    "target of the digits": (["train", "digits", "--target", "y"], "--target and --task are for CSV files"),
    "data of the digits": (["train", "digits", "--data", "FOLDER"], "--data is for mnist"),
    "mnist without a folder": (["train", "mnist"], "--data FOLDER"),
    "mnist without files": (["train", "mnist", "--data", "FOLDER"], "neither train-images-idx3-ubyte"),
    "mnist from nowhere": (["train", "mnist", "--data", "FOLDER/x"], "no such folder"),
    "regression of words": (
        ["train", "FLOWERS", "--target", "kind", "--task", "regression"],
        "regression needs numbers",
    ),
    "no epochs": (["train", "digits", "--epochs", "0"], "whole number from 1"),
    "half an epoch": (["train", "digits", "--epochs", "1.5"], "whole number from 1"),
    "no batch": (["train", "digits", "--batch-size", "-1"], "whole number from 1"),
    "hidden words": (["train", "digits", "--hidden", "a,b"], "expected units such as 128,64"),
    "hidden nothing": (["train", "digits", "--hidden", ""], "expected units such as 128,64"),
    "hidden zero": (["train", "digits", "--hidden", "8,0"], "expected units such as 128,64"),
    "hidden negative": (["train", "digits", "--hidden=-8"], "expected units such as 128,64"),
    "rate 0": (["train", "digits", "--lr", "0"], "number above 0"),
    "rate nan": (["train", "digits", "--lr", "nan"], "number above 0"),
    "rate infinite": (["train", "digits", "--lr", "inf"], "number above 0"),
    "all dropped": (["train", "digits", "--dropout", "1"], "from 0 to below 1"),
    "unknown optimizer": (["train", "digits", "--optimizer", "adams"], "'adam'"),
    "seed below 0": (["train", "digits", "--seed", "-1"], "whole number from 0"),
    "too many weights": (["train", "FLOWERS", "--target", "kind", "--hidden", "20000,20000"], "400,140,000 weights"),
    "out is a file": (["train", "FLOWERS", "--target", "kind", "--out", "FLOWERS"], "File exists"),
}


@pytest.mark.parametrize("name", BAD_ARGUMENTS)
def test_bad_arguments(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any) -> None:
    arguments, message = BAD_ARGUMENTS[name]
    monkeypatch.chdir(tmp_path)
    names = {"FLOWERS": str(flowers(tmp_path)), "FOLDER": str(tmp_path)}
    given = [names.get(argument, argument.replace("FOLDER/", f"{tmp_path}/")) for argument in arguments]
    try:
        code = main(given)
    except SystemExit as stop:  # argparse leaves by itself
        code = stop.code if isinstance(stop.code, int) else -1
    errors = capsys.readouterr().err
    assert code == 2
    assert message in errors
    assert errors.startswith("chainrule")
    assert errors.count("\n") == 1
    assert [file.name for file in tmp_path.iterdir()] == ["flowers.csv"]


BAD_FILES = {
    "empty": "",
    "no rows": "a,y\n",
    "two rows": "a,y\n1,2\n3,4.5\n",
    "ragged": "a,y\n1,2,3\n",
    "missing": "a,y\n1,\n",
    "not finite": "a,y\n1,inf\n",
    "one class": "a,y\n1,u\n2,u\n",
    "numbers too large": "a,y\n" + "".join(f"{'-' * (i % 2)}1e300,{i + 0.5}\n" for i in range(40)),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_bad_files(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "table.csv"
    path.write_text(BAD_FILES[name])
    assert main(["train", str(path), "--target", "y", "--out", str(tmp_path / "out"), *QUICK]) == 2
    errors = capsys.readouterr().err
    assert errors.startswith("chainrule: ")
    assert errors.count("\n") == 1


def test_a_training_that_diverges(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["train", str(houses(tmp_path)), "--target", "price", "--out", str(tmp_path / "out"), "--no-progress"]
    assert main([*arguments, "--optimizer", "sgd", "--lr", "1e6"]) == 1
    assert "no longer finite" in capsys.readouterr().err


@pytest.mark.parametrize(("package", "extra"), [("safetensors", "export"), ("matplotlib", "plot")])
def test_missing_extras_are_told_before_the_training(
    package: str, extra: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from importlib import util

    find_spec = util.find_spec
    monkeypatch.setattr(util, "find_spec", lambda name: None if name == package else find_spec(name))
    assert main(["train", str(flowers(tmp_path)), "--target", "kind", "--out", str(tmp_path / "out")]) == 2
    assert f'pip install "chainrule[{extra}]"' in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
