#!/usr/bin/env python3
"""What one more future costs in code, by what is done with it, beside tokio and smol.

Programs that do the same with two futures and with fifty-two of types that differ: the difference
of their sizes (`size`: code, tables and data), by fifty. A future costs code whatever runs it, so
each stands beside a program that boxes such futures and does no more; "more" is the runtime's part.
Exits with 1 if a future that is spawned in two ways has a function of `mainspring::task` twice.
With the name of a row, prints the functions that exist once for each future instead.

Needs cargo and binutils; builds in target/codegen, or below CARGO_TARGET_DIR.
"""

import collections
import re
import subprocess
import sys

from packages import MAINSPRING, SMOL, TOKIO, cargo, package, table

FEW, MANY = 2, 52

COMMON = """\
use std::future::{Future, poll_fn};
use std::hint::black_box;
use std::pin::{Pin, pin};
use std::task::Poll;

#[inline(never)]
fn pause() -> impl Future<Output = ()> {
    let mut paused = false;
    poll_fn(move |cx| {
        if std::mem::replace(&mut paused, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
}

fn future<const N: usize>() -> impl Future<Output = usize> + Send + 'static {
    async {
        pause().await;
        black_box(N)
    }
}

struct Own<const N: usize>(Box<usize>);

impl<const N: usize> Drop for Own<N> {
    fn drop(&mut self) {
        black_box(N);
    }
}

fn owned<const N: usize>() -> impl Future<Output = Own<N>> + Send + 'static {
    async {
        pause().await;
        Own(Box::new(black_box(N)))
    }
}
"""
TOKIOS = """
#[inline(never)]
fn runtime() -> &'static tokio::runtime::Runtime {
    Box::leak(Box::new(tokio::runtime::Builder::new_current_thread().build().unwrap()))
}
"""
SMOLS = """
#[inline(never)]
fn executor() -> &'static smol::LocalExecutor<'static> {
    Box::leak(Box::new(smol::LocalExecutor::new()))
}
"""
BOXED = "Pin<Box<dyn Future<Output = usize>>>"
OUR_TASK = "mainspring::JoinHandle<usize>"
THEIR_TASK = "tokio::task::JoinHandle<usize>"
BASE, BASE_OWNED = "boxed", "boxed, with an output of its own"
BOTH_WAYS = "mainspring: now spawn, now spawn_local"

# What it is called, what is done with a future, what that makes, and what it is compared with.
PROBES = {
    BASE: ("Box::pin(future::<N>())", BOXED, None),
    BASE_OWNED: ("Box::pin(async { *owned::<N>().await.0 })", BOXED, None),
    "mainspring: spawn": ("mainspring::spawn(future::<N>())", OUR_TASK, BASE),
    "mainspring: spawn_local": ("mainspring::spawn_local(future::<N>())", OUR_TASK, BASE),
    BOTH_WAYS: (
        "if black_box(true) { mainspring::spawn(future::<N>()) } "
        "else { mainspring::spawn_local(future::<N>()) }",
        OUR_TASK,
        BASE,
    ),
    "mainspring: Handle::spawn": (
        "mainspring::Handle::current().spawn(future::<N>())", OUR_TASK, BASE,
    ),
    "mainspring: task::Builder::spawn": (
        "mainspring::task::Builder::new().spawn(future::<N>())", OUR_TASK, BASE,
    ),
    "mainspring: spawn, with an output of its own": (
        "Box::pin(async { *mainspring::spawn(owned::<N>()).await.unwrap().0 })", BOXED, BASE_OWNED,
    ),
    "mainspring: block_on": ("mainspring::block_on(future::<N>())", "usize", BASE),
    "mainspring: block_on of a pinned one": (
        "mainspring::block_on(pin!(future::<N>()))", "usize", BASE,
    ),
    "mainspring: now block_on, now of a pinned one": (
        "if black_box(true) { mainspring::block_on(future::<N>()) } "
        "else { mainspring::block_on(pin!(future::<N>())) }",
        "usize",
        BASE,
    ),
    "tokio: spawn": ("tokio::spawn(future::<N>())", THEIR_TASK, BASE),
    "tokio: spawn, with an output of its own": (
        "Box::pin(async { *tokio::spawn(owned::<N>()).await.unwrap().0 })", BOXED, BASE_OWNED,
    ),
    "tokio: block_on": ("runtime().block_on(future::<N>())", "usize", BASE),
    "smol: LocalExecutor::spawn": ("executor().spawn(future::<N>())", "smol::Task<usize>", BASE),
    "smol: block_on": ("smol::block_on(future::<N>())", "usize", BASE),
}


def main():
    if sys.argv[1:]:
        return functions(sys.argv[1])
    programs = {program(name, count): text(name, count) for name in PROBES for count in (FEW, MANY)}
    folder = build(programs)
    each = {}
    for name in PROBES:
        few, many = (size(folder, program(name, count)) for count in (FEW, MANY))
        each[name] = (many - few) / (MANY - FEW)
    rows = []
    for name, (_, _, base) in PROBES.items():
        more = f"{each[name] - each[base]:.0f}" if base else ""
        rows.append([name, f"{each[name]:.0f}", more])
    print(table(["what is done with a future", "bytes", "more"], rows))
    sizes = sizes_of_functions(folder, program(BOTH_WAYS, MANY))
    twice = [f for f in sizes if "mainspring::task::" in f and len(sizes[f]) > 1.5 * MANY]
    if twice:
        sys.exit(f"more than once for each future: {', '.join(twice)}")


def build(programs):
    # Without debug information, and with the table of symbols.
    folder = package("futures", [MAINSPRING, TOKIO, SMOL], ["opt-level = 3"], programs)
    cargo(folder, "build", "--release")
    return folder


def program(name, count):
    return f"{re.sub(r'[^a-z]+', '-', name.lower())}-{count}"


def text(name, count):
    """A program that is built, and never run."""
    what, made, _ = PROBES[name]
    own = {"tokio": TOKIOS, "smol:": SMOLS}.get(name[:5], "")
    each = "".join(f"    all.push(probe::<{number}>());\n" for number in range(count))
    return (
        f"{COMMON}{own}\n#[inline(never)]\nfn probe<const N: usize>() -> {made} {{\n    {what}\n}}\n\n"
        f"fn main() {{\n    let mut all: Vec<{made}> = Vec::new();\n{each}    black_box(all);\n}}\n"
    )


def size(folder, program):
    """Bytes of code, of constants, of the tables for unwinding, and of data."""
    lines = run("size", folder / "target/release" / program)
    code, data, *_ = lines.splitlines()[1].split()
    return int(code) + int(data)


def functions(name):
    """Prints the functions of which there is one for each future, by size."""
    folder = build({program(name, MANY): text(name, MANY)})
    found = sizes_of_functions(folder, program(name, MANY))
    rows = [
        [f"`{symbol}`", f"{len(sizes) / MANY:.1f}", f"{sum(sizes) / MANY:.0f}"]
        for symbol, sizes in found.items()
        if len(sizes) >= MANY / 2
    ]
    rows.sort(key=lambda row: -int(row[2]))
    print(table([name, "times", "bytes"], rows))


def sizes_of_functions(folder, program):
    """The sizes of all functions that have the same name, without their types."""
    lines = run("nm", "--demangle", "--print-size", folder / "target/release" / program)
    found = collections.defaultdict(list)
    for bytes_, symbol in re.findall(r"^[0-9a-f]+ ([0-9a-f]+) [tT] (.*)$", lines, re.M):
        found[re.sub(r"::h[0-9a-f]{16}$", "", symbol)].append(int(bytes_, 16))
    return found


def run(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


if __name__ == "__main__":
    main()
