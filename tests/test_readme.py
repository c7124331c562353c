"""What the README shows works as shown: its Python code runs, and its commands are those that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from chainrule import cli

README = (Path(__file__).parent.parent / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_the_code_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("sklearn", reason="the README's data comes from scikit-learn")
    pytest.importorskip("safetensors", reason="the README saves a network")
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for block in blocks("python"):
        exec(compile(block, "README.md", "exec"), names)
    printed = capsys.readouterr().out
    assert "128" in printed
    assert (tmp_path / "digits.safetensors").exists()
    assert float(names["loss"]) < 0.5  # type: ignore[arg-type]


def test_the_commands_are_those_that_set_up_and_test() -> None:
    assert [block.strip() for block in blocks("sh")] == [
        'pip install ".[all]" && chainrule train digits',
        'pip install ".[test]" && pytest',
    ]


@pytest.mark.parametrize("command", sorted(set(re.findall(r"`chainrule (\w+)", README))))
def test_the_commands_named_exist(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ending:
        cli.main([command, "--help"])
    assert ending.value.code == 0
    assert command in capsys.readouterr().out
