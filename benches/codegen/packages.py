"""What the two programs beside this file share: packages that are written, built and looked at."""

import os
import pathlib
import re
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILDS = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "codegen"

# The fewest features that a task and a sleep need.
MAINSPRING = f'mainspring = {{ path = "{ROOT}", default-features = false }}'
TOKIO = 'tokio = { version = "=1.54.1", features = ["rt", "time"] }'
TOKIO_NET = 'tokio = { version = "=1.54.1", features = ["net", "rt", "time"] }'
SMOL = 'smol = "=2.0.2"'


def package(name, dependencies, profile, programs):
    """Writes a package with these programs, by name; returns its folder."""
    folder = BUILDS / re.sub(r"\W+", "-", name)
    shutil.rmtree(folder / "src", ignore_errors=True)
    (folder / "src" / "bin").mkdir(parents=True)
    lines = ["[package]", 'name = "probe"', 'version = "0.0.0"', 'edition = "2024"', "[workspace]"]
    lines += ["[profile.release]", *profile, "[dependencies]", *dependencies]
    (folder / "Cargo.toml").write_text("\n".join(lines) + "\n")
    for program, text in programs.items():
        (folder / "src" / "bin" / f"{program}.rs").write_text(text)
    return folder


def cargo(folder, *words):
    """Runs cargo there, with a target folder of its own; returns what it printed."""
    own = {"CARGO_TARGET_DIR": str(folder / "target"), "CARGO_INCREMENTAL": "0"}
    command = ["cargo", *words]
    done = subprocess.run(command, cwd=folder, env=os.environ | own, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed in {folder}:\n{done.stderr}")
    return done.stdout


def table(head, rows):
    """In Markdown, the first column to the left."""
    rows = [head, *rows]
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    rows.insert(1, ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])])
    lines = []
    for first, *others in rows:
        cells = [first.ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(others, widths[1:])]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)
