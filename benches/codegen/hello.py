#!/usr/bin/env python3
"""What it costs a program to depend on mainspring, beside tokio and smol.

A hello program that awaits a task and a sleep, with the fewest features that this takes: the time of
a clean release build (fetched before), of its CPUs together, the crates it depends on, its size when
stripped. Prints a table. Needs cargo; builds in target/codegen, or below CARGO_TARGET_DIR.
"""

import resource
import shutil
import time

from packages import MAINSPRING, SMOL, TOKIO, TOKIO_NET, cargo, package, table

ALONE = """
    std::thread::sleep(Duration::from_millis(1));
    println!("hello {}", 6 * 7);
"""
OURS = """
    mainspring::block_on(async {
        let task = mainspring::spawn(async { 6 * 7 });
        println!("hello {}", task.await.unwrap());
        mainspring::time::sleep(Duration::from_millis(1)).await;
    });
"""
TOKIOS = """
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let task = tokio::spawn(async { 6 * 7 });
        println!("hello {}", task.await.unwrap());
        tokio::time::sleep(Duration::from_millis(1)).await;
    });
"""
SMOLS = """
    let executor = smol::LocalExecutor::new();
    smol::block_on(executor.run(async {
        let task = executor.spawn(async { 6 * 7 });
        println!("hello {}", task.await);
        smol::Timer::after(Duration::from_millis(1)).await;
    }));
"""
PROGRAMS = {
    "no runtime": ([], ALONE),
    "mainspring": ([MAINSPRING], OURS),
    "tokio (rt, time)": ([TOKIO], TOKIOS),
    "tokio (rt, time, net)": ([TOKIO_NET], TOKIOS),
    "smol": ([SMOL], SMOLS),
}
FAST = ["opt-level = 3", "strip = true"]
SMALL = ['opt-level = "s"', "strip = true", "lto = true", "codegen-units = 1"]


def main():
    rows = []
    for name, (dependencies, text) in PROGRAMS.items():
        program = {"hello": f"use std::time::Duration;\n\nfn main() {{{text}}}\n"}
        folder = package(f"hello {name}", dependencies, FAST, program)
        wall, cpu = build(folder)
        crates = len(dependencies_of(folder))
        fast = size(folder)
        build(package(f"hello {name}", dependencies, SMALL, program))
        rows.append([name, f"{wall:.1f}", f"{cpu:.1f}", str(crates), fast, size(folder)])
    print(table(["hello", "build, s", "CPU s", "crates", "KiB", 'KiB, "s" and LTO'], rows))


def build(folder):
    """Builds from nothing; returns wall and CPU seconds."""
    cargo(folder, "fetch")
    shutil.rmtree(folder / "target", ignore_errors=True)
    began, before = time.monotonic(), cpu_of_children()
    cargo(folder, "build", "--release")
    return time.monotonic() - began, cpu_of_children() - before


def cpu_of_children():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def dependencies_of(folder):
    lines = cargo(folder, "tree", "--edges", "normal,build", "--prefix", "none").splitlines()
    return {line.removesuffix(" (*)") for line in lines[1:]}


def size(folder):
    return f"{(folder / 'target/release/hello').stat().st_size / 1024:.0f}"


if __name__ == "__main__":
    main()
