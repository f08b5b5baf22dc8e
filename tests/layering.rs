//! Holds the layers of the crate: which room may import which, and where the dangerous things may be.
//!
//! A room is a directory (or file) directly under `src`. [`ROOMS`] puts each on a floor; a room
//! imports from the floors below it, from its own floor only without a circle, and from above never.
//! The scanner reads tokens, not text, so comments and strings do not count; it looks through nested
//! `use` lists, and past code that is compiled for tests only.

#[path = "layering/scan.rs"]
mod scan;

use scan::{Path, Source, Token};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::PathBuf;

/// Every room that there is or is planned, with its floor.
const ROOMS: &[(&str, u8)] = &[
    ("primitives", 0),
    ("util", 0),
    ("coop", 0),
    ("hooks", 0),
    ("task", 1),
    ("reactor", 1),
    ("wheel", 1),
    ("sync", 1),
    ("driver", 2),
    ("context", 2),
    ("scheduler", 3),
    ("offload", 3),
    ("runtime", 4),
    ("net", 5),
    ("io", 5),
    ("fs", 5),
    ("signal", 5),
    ("child", 5),
    ("process", 5),
    ("time", 5),
    ("group", 5),
    ("sim", 5),
    ("http", 6),
];

/// Places that may import less than their floor allows: a path under `src`, and all it may import.
const NARROWER: &[(&str, &[&str])] = &[
    ("primitives", &[]),
    ("wheel", &[]),
    ("reactor", &["primitives", "util"]),
    ("http/codec", &[]),
];

/// What floors 5 and 6 reach through `context` instead, and who is excepted.
const ROOT_ONLY: &[&str] = &["runtime", "scheduler"];
const ROOT_EXCEPTIONS: &[(&str, &str)] = &[("sim", "runtime")];

/// The crate root, and what the fuzz targets call: they may import anything, and nobody them.
const FREE: &[&str] = &["lib", "fuzzing"];

const THREAD_LOCALS: &[&str] = &["primitives", "context", "coop", "task"];
const ATOMICS: &[&str] = &["primitives"];
const UNSAFE: &[&str] = &["primitives", "util", "task", "sync", "process"];

/// Files in other rooms with lines that talk to the operating system where no safe call exists.
const UNSAFE_FILES: &[&str] = &["offload/signals.rs"];

const MOST_LINES: usize = 600;

#[test]
fn the_layers_hold() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    read_dir(&root, &root, &mut files);
    assert!(files.len() > 20, "found only {} files under {}", files.len(), root.display());
    let broken = check(&files, UNSAFE_FILES);
    let mut message = String::new();
    for line in &broken {
        let _ = writeln!(message, "{line}");
    }
    assert!(broken.is_empty(), "\n{message}");
}

#[test]
fn the_tour_of_the_house_names_every_room() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let tour = std::fs::read_to_string(root.join("docs/architecture.md")).unwrap();
    let mut files = Vec::new();
    read_dir(&root.join("src"), &root.join("src"), &mut files);
    for (name, _) in &files {
        let room = Source::new(name, "").room().to_string();
        let named = FREE.contains(&room.as_str()) || tour.contains(&format!("`{room}`"));
        assert!(named, "docs/architecture.md does not name the room `{room}`");
    }
}

/// All files as (path under `src`, text).
fn read_dir(root: &std::path::Path, dir: &std::path::Path, files: &mut Vec<(String, String)>) {
    let mut entries: Vec<PathBuf> =
        std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            read_dir(root, &path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let name = path.strip_prefix(root).unwrap().to_str().unwrap().replace('\\', "/");
            files.push((name, std::fs::read_to_string(&path).unwrap()));
        }
    }
}

/// What is wrong with the files, one line each, beginning with `src/file:line:`.
fn check(files: &[(String, String)], unsafe_files: &[&str]) -> Vec<String> {
    let mut broken = Vec::new();
    let mut same_floor = BTreeMap::new();
    let sources: Vec<_> = files.iter().map(|(name, text)| Source::new(name, text)).collect();
    let tests: BTreeSet<String> = sources.iter().flat_map(Source::test_modules).collect();
    for source in &sources {
        check_size(source, &mut broken);
        let room = source.room();
        if floor(room).is_none() && !FREE.contains(&room) {
            broken.push(format!(
                "src/{}:1: `{room}` is in no floor: add it to the table in tests/layering.rs and \
                 to docs/architecture.md",
                source.name
            ));
            continue;
        }
        check_unsafe(source, unsafe_files, &mut broken);
        if tests.iter().any(|module| source.is_in(module)) {
            continue;
        }
        check_places(source, &mut broken);
        check_imports(source, &mut same_floor, &mut broken);
    }
    // A list of several names of one room is one mistake.
    broken.dedup();
    for name in unsafe_files {
        if !sources.iter().any(|source| source.name == *name && !unsafe_lines(source).is_empty()) {
            broken.push(format!("src/{name}:1: listed in UNSAFE_FILES, but it has no unsafe"));
        }
    }
    if let Some(circle) = find_circle(&same_floor) {
        broken.push(circle);
    }
    broken
}

fn floor(room: &str) -> Option<u8> {
    ROOMS.iter().find(|(name, _)| *name == room).map(|(_, floor)| *floor)
}

fn check_size(source: &Source, broken: &mut Vec<String>) {
    if source.lines > MOST_LINES {
        broken.push(format!(
            "src/{}:{}: a file has at most {MOST_LINES} lines: divide it",
            source.name, source.lines
        ));
    }
}

fn unsafe_lines(source: &Source) -> Vec<usize> {
    let is_unsafe = |token: &&Token| token.text == "unsafe";
    source.all.iter().filter(is_unsafe).map(|token| token.line).collect()
}

fn check_unsafe(source: &Source, unsafe_files: &[&str], broken: &mut Vec<String>) {
    if UNSAFE.contains(&source.room()) || unsafe_files.contains(&source.name.as_str()) {
        return;
    }
    for line in unsafe_lines(source) {
        broken.push(format!(
            "src/{}:{line}: unsafe belongs to the rooms {} only; a line that talks to the system \
             is listed by file in UNSAFE_FILES",
            source.name,
            UNSAFE.join(", ")
        ));
    }
}

/// Atomics, sequentially consistent orderings and thread-locals, each in its place.
fn check_places(source: &Source, broken: &mut Vec<String>) {
    let mut rule = |allowed: &[&str], line: usize, what: &str| {
        if !allowed.contains(&source.room()) {
            broken.push(format!("src/{}:{line}: {what}", source.name));
        }
    };
    for path in scan::paths(&source.code) {
        let is_std = matches!(path.segments[0].as_str(), "std" | "core");
        if is_std && path.segments[1..].starts_with(&["sync".into(), "atomic".into()]) {
            rule(ATOMICS, path.line, "atomics come from crate::primitives, so that loom sees them");
        }
        if path.segments.iter().any(|segment| segment == "SeqCst") {
            rule(
                ATOMICS,
                path.line,
                "SeqCst is for primitives only: a full fence is one named function there",
            );
        }
    }
    for pair in source.code.windows(2) {
        if matches!(pair[0].text.as_str(), "local" | "thread_local") && pair[1].text == "!" {
            let what = format!("thread-locals belong to {} only", THREAD_LOCALS[1..].join(", "));
            rule(THREAD_LOCALS, pair[0].line, &what);
        }
    }
}

/// The imports of one room from another on its floor, each with one place where it happens.
type SameFloor = BTreeMap<(String, String), String>;

fn check_imports(source: &Source, same_floor: &mut SameFloor, broken: &mut Vec<String>) {
    let from = source.room();
    if FREE.contains(&from) {
        return;
    }
    for path in scan::paths(&source.code) {
        let place = format!("src/{}:{}", source.name, path.line);
        if path.is_visibility {
            continue;
        }
        let Some(target) = absolute(source, &path) else { continue };
        let Some(to) = target.first() else {
            broken.push(format!("{place}: name a room by `crate::` and its name"));
            continue;
        };
        if path.segments[0] == "super" && *to != from {
            broken.push(format!("{place}: `super` leaves the room: write `crate::`"));
            continue;
        }
        match verdict(source, from, &target) {
            Ok(true) => {
                same_floor.entry((from.into(), to.to_string())).or_insert(place);
            }
            Ok(false) => {}
            Err(rule) => {
                broken.push(format!("{place}: `{}` imports `{to}`: {rule}", source.place()))
            }
        }
    }
}

/// Where a path leads, from the crate root; `None` if it stays in its file or in another crate.
fn absolute<'a>(source: &'a Source, path: &'a Path) -> Option<Vec<&'a str>> {
    let mut target = Vec::new();
    let mut rest = &path.segments[..];
    match rest[0].as_str() {
        "crate" => rest = &rest[1..],
        "super" => {
            let supers = rest.iter().take_while(|segment| *segment == "super").count();
            let above = supers.checked_sub(path.inside).filter(|above| *above > 0)?;
            target = source.modules();
            target.truncate(target.len().saturating_sub(above));
            rest = &rest[supers..];
        }
        _ => return None,
    }
    target.extend(rest.iter().map(String::as_str));
    Some(target)
}

/// Whether `from` may import from `target`; `true` if that is another room of its floor, so that a
/// circle is possible.
fn verdict(source: &Source, from: &str, target: &[&str]) -> Result<bool, String> {
    let to = target[0];
    if let Some((place, allowed)) = source.narrower() {
        let inside = place.split('/').eq(target.iter().copied().take(place.split('/').count()));
        if !inside && !allowed.contains(&to) {
            return Err(match *allowed {
                [] => format!("`{place}` imports no room"),
                some => format!("`{place}` imports {} only", some.join(" and ")),
            });
        }
    }
    if to == from {
        return Ok(false);
    }
    let Some(above) = floor(to) else {
        return Err(if to == "*" {
            "name the rooms".into()
        } else {
            "that is no room; what the crate root re-exports is imported from its room".into()
        });
    };
    let Some(own) = floor(from) else { return Ok(false) };
    if own >= 5 && ROOT_ONLY.contains(&to) && !ROOT_EXCEPTIONS.contains(&(from, to)) {
        return Err(format!("floors 5 and 6 never import `{to}`: what they need is in `context`"));
    }
    if above > own {
        return Err(format!("floor {own} never imports from floor {above} above it"));
    }
    Ok(above == own)
}

impl Source {
    /// The rule of its own that the file is under, if it is.
    fn narrower(&self) -> Option<&'static (&'static str, &'static [&'static str])> {
        NARROWER.iter().find(|(place, _)| self.is_in(place))
    }

    /// The room, or the part of it that has a rule of its own.
    fn place(&self) -> &str {
        self.narrower().map_or(self.room(), |(place, _)| place)
    }
}

/// A circle among the imports within floors, as a message.
fn find_circle(edges: &SameFloor) -> Option<String> {
    fn walk<'a>(edges: &'a SameFloor, way: &mut Vec<&'a str>) -> bool {
        let here = way[way.len() - 1];
        for (_, to) in edges.keys().filter(|(from, _)| from == here) {
            if let Some(start) = way.iter().position(|room| room == to) {
                way.drain(..start);
                way.push(to);
                return true;
            }
            way.push(to);
            if walk(edges, way) {
                return true;
            }
            way.pop();
        }
        false
    }
    for (from, _) in edges.keys() {
        let mut way = vec![from.as_str()];
        if walk(edges, &mut way) {
            let places: Vec<_> = way
                .windows(2)
                .map(|pair| edges[&(pair[0].to_string(), pair[1].to_string())].as_str())
                .collect();
            return Some(format!(
                "{}: rooms of one floor import each other in a circle: {} (also {})",
                places[0],
                way.join(" -> "),
                places[1..].join(", ")
            ));
        }
    }
    None
}

/// Checks files given as text; each is (path under `src`, text).
fn check_text(files: &[(&str, &str)]) -> Vec<String> {
    let own = |(name, text): &(&str, &str)| (name.to_string(), text.to_string());
    check(&files.iter().map(own).collect::<Vec<_>>(), &[])
}

#[track_caller]
fn assert_broken(files: &[(&str, &str)], expected: &[&str]) {
    let broken = check_text(files);
    assert_eq!(broken.len(), expected.len(), "{broken:#?}");
    for (line, expected) in broken.iter().zip(expected) {
        assert!(line.starts_with(expected), "{line}\ndoes not begin with\n{expected}");
    }
}

#[test]
fn imports_go_downwards() {
    assert_broken(&[("net/mod.rs", "use crate::driver::Driver;\nuse crate::coop;")], &[]);
    assert_broken(
        &[("task/a.rs", "\nuse crate::driver::Driver;")],
        &["src/task/a.rs:2: `task` imports `driver`: floor 1 never imports from floor 2"],
    );
    assert_broken(
        &[("task/a.rs", "fn f() { crate::net::TcpStream::connect(); }")],
        &["src/task/a.rs:1: `task` imports `net`"],
    );
    let nested = "use crate::{\n  util::{WakeList, contain},\n  context::{self, Current},\n};";
    assert_broken(&[("task/a.rs", nested)], &["src/task/a.rs:3: `task` imports `context`"]);
    assert_broken(&[("util.rs", "use crate::task::Home;")], &["src/util.rs:1: `util` imports"]);
    assert_broken(&[("task/a.rs", "use crate::*;")], &["src/task/a.rs:1: `task` imports `*`"]);
    assert_broken(&[("net/a.rs", "use crate::Handle;")], &["src/net/a.rs:1: `net` imports"]);
    assert_broken(&[("lib.rs", "pub use crate::runtime::spawn;")], &[]);
    assert_broken(&[("cellar/mod.rs", "")], &["src/cellar/mod.rs:1: `cellar` is in no floor"]);
}

#[test]
fn upper_floors_do_not_import_the_root() {
    assert_broken(
        &[("http/server.rs", "use crate::runtime::Handle;")],
        &["src/http/server.rs:1: `http` imports `runtime`: floors 5 and 6"],
    );
    assert_broken(&[("time/a.rs", "use crate::scheduler::Local;")], &["src/time/a.rs:1:"]);
    assert_broken(&[("sim/mod.rs", "use crate::runtime::LocalRuntime;")], &[]);
    assert_broken(&[("sim/mod.rs", "use crate::scheduler::Local;")], &["src/sim/mod.rs:1:"]);
}

#[test]
fn some_places_are_narrower_than_their_floor() {
    assert_broken(&[("wheel/mod.rs", "use crate::util::X;")], &["src/wheel/mod.rs:1: `wheel`"]);
    assert_broken(&[("reactor/mod.rs", "use crate::{primitives::Mutex, util::WakeList};")], &[]);
    assert_broken(&[("http/server.rs", "use crate::http::codec;")], &[]);
    for text in ["use crate::util::X;", "use crate::http::Router;", "use crate::net::X;"] {
        assert_broken(&[("http/codec/head.rs", text)], &["src/http/codec/head.rs:1: `http/codec`"]);
    }
}

#[test]
fn one_floor_has_no_circle() {
    let one = ("context/mod.rs", "use crate::driver::Driver;");
    assert_broken(&[one], &[]);
    assert_broken(
        &[one, ("driver/mod.rs", "\nuse crate::context;")],
        &["src/context/mod.rs:1: rooms of one floor import each other in a circle"],
    );
}

#[test]
fn super_stays_inside() {
    assert_broken(&[("net/tcp.rs", "use super::udp;\nmod x { use super::super::udp; }")], &[]);
    assert_broken(&[("net/mod.rs", "use super::time;")], &["src/net/mod.rs:1: `super` leaves"]);
    assert_broken(&[("net/a.rs", "use super::super::x;")], &["src/net/a.rs:1: `super` leaves"]);
    assert_broken(&[("net/a/b.rs", "use super::super::x;")], &[]);
}

#[test]
fn comments_strings_and_tests_do_not_count() {
    let text = r####"
        //! use crate::runtime::X;
        /* crate::runtime /* nested */ std::sync::atomic */
        const A: &str = "crate::runtime"; const B: &[u8] = br##"crate::net "# unsafe"##;
        const C: char = '"'; fn f<'a>(x: &'a str) -> char { '\'' } // crate::net
        #[cfg(all(test, not(loom)))]
        mod tests { use crate::runtime::X; use std::sync::atomic::AtomicBool; }
        #[cfg(test)]
        use crate::{runtime::X, net};
        struct S { #[cfg(test)] seen: crate::net::X, kept: u8 }
        #[cfg(all(test, loom))]
        mod models;
    "####;
    let model = ("task/a/models/deep.rs", "use crate::runtime::X;");
    assert_broken(&[("task/a.rs", text), model], &[]);
    let text = "#[cfg(not(test))]\nuse crate::net::X;\n#[cfg(any(test, fuzzing))]\nuse crate::io;";
    assert_broken(&[("task/a.rs", text)], &["src/task/a.rs:2:", "src/task/a.rs:4:"]);
    let text = "struct S { #[cfg(test)] seen: u8, kept: crate::net::X }";
    assert_broken(&[("task/a.rs", text)], &["src/task/a.rs:1:"]);
}

#[test]
fn dangerous_things_have_their_places() {
    let text = "use std::{\nsync::{Arc, atomic::{AtomicU8, Ordering}}};\nfn f() { core::sync::atomic::fence(x) }";
    let two = ["src/task/a.rs:2: atomics", "src/task/a.rs:3: atomics"];
    assert_broken(&[("task/a.rs", text)], &two);
    assert_broken(&[("primitives/a.rs", text)], &[]);
    assert_broken(&[("sync/a.rs", "f(Ordering::SeqCst)")], &["src/sync/a.rs:1: SeqCst"]);
    assert_broken(&[("sync/a.rs", "use Ordering::{Relaxed, SeqCst};")], &["src/sync/a.rs:1:"]);
    assert_broken(&[("net/a.rs", "thread_local! { }")], &["src/net/a.rs:1: thread-locals"]);
    assert_broken(&[("coop/mod.rs", "local! { static A: u8 = 1; }")], &[]);
    assert_broken(&[("net/a.rs", "\nfn f() { unsafe { g() } }")], &["src/net/a.rs:2: unsafe"]);
    assert_broken(&[("task/a.rs", "unsafe fn f() {}")], &[]);
    assert_broken(&[("net/a.rs", &"\n".repeat(601))], &["src/net/a.rs:601: a file has at most"]);
    let files = [("net/a.rs".to_string(), "unsafe fn f() {}".to_string())];
    assert_eq!(check(&files, &["net/a.rs"]), Vec::<String>::new());
    assert_eq!(check(&files[..0], &["net/a.rs"]).len(), 1, "an entry that is needed no more");
}
