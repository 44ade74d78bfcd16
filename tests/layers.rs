//! The dependency direction of `src/`, and the names that belong to one place.
//!
//! Reads the sources as text, so it needs nothing from the crate and says
//! `file:line` and the broken rule. Comments and literals are skipped by a tiny
//! lexer. Code under `#[cfg(test)]` may use any module.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// From the program down to the bytes. A module may use those below it in this
/// list. Modules on one line are peers: they must not use each other, except in
/// the last line.
const LAYERS: &[&[&str]] = &[
    &["main", "bin"],
    &["cli"],
    &["render"],
    &["report"],
    &["batch", "diff", "fits", "policy", "reservation", "unexplained"],
    &["archive"],
    &["symbols"],
    &["owner"],
    &["analysis"],
    &["rules"],
    &["crash"],
    &["totals"],
    &["explained"],
    &["classify"],
    &["evidence"],
    &["map"],
    &["dump"],
    &["inputs"],
    &["source"],
    &["limits", "issue", "error", "addr", "size"],
];

/// Uses nothing; used only by the program, tests, fuzz targets and examples.
const SYNTH: &str = "synth";

/// Functions of the crate root that stand for a module in the list.
const ROOT_ITEMS: &[(&str, &str)] = &[("analyze", "analysis"), ("analyze_with", "analysis")];

const MAX_LINES: usize = 800;

#[test]
fn sources_keep_to_their_layers() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut broken = Vec::new();
    for file in rust_files(&src) {
        let text = fs::read_to_string(&file).expect("a source file is UTF-8 text");
        let inside = file.strip_prefix(&src).expect("the file is below src");
        check(&slashed(inside), &text, &mut broken);
    }
    assert!(broken.is_empty(), "\n{}\n", broken.join("\n"));
}

/// Appends `src/FILE:LINE: what: rule` for each broken rule.
fn check(file: &str, text: &str, broken: &mut Vec<String>) {
    let module = module_path(file);
    let top = module.first().map_or("lib", String::as_str).to_owned();
    let Lexed { tokens, comments } = lex(text);
    let tests = test_ranges(&tokens);
    let in_test = |at: usize| is_test_file(file) || tests.iter().any(|range| range.contains(&at));
    let mut say = |line: usize, what: String| broken.push(format!("src/{file}:{line}: {what}"));

    let lines = text.lines().count();
    if lines > MAX_LINES {
        say(lines, format!("{lines} lines: a file has at most {MAX_LINES}"));
    }
    if top != "lib" && top != SYNTH && layer(&top).is_none() {
        say(1, format!("module `{top}` is in no layer: name it in tests/layers.rs"));
    }
    for (line, comment) in comments {
        for (nth, row) in comment.lines().enumerate() {
            if let Some(mark) = unfinished_mark(row) {
                say(line + nth, format!("`{mark}`: write it, or file it, or leave it out"));
            }
        }
    }

    for (at, token) in tokens.iter().enumerate() {
        let next = |n: usize| tokens.get(at + n).map_or("", |t| t.text.as_str());
        let before = |n: usize| at.checked_sub(n).map_or("", |i| tokens[i].text.as_str());
        let word = token.text.as_str();
        let root_of_path = before(1) != "::" || !is_word(before(2));
        let names_crate = root_of_path && (next(1) == "::" || matches!(before(1), "use" | "crate"));
        let program = matches!(top.as_str(), "main" | "bin" | "cli");

        if word == "unsafe" && file != "source/mapped.rs" {
            say(token.line, "`unsafe`: only in src/source/mapped.rs".into());
        }
        if unfinished_mark(word).is_some() {
            say(token.line, format!("`{word}`: write it, or file it, or leave it out"));
        }
        if in_test(at) {
            continue;
        }
        if (word == "minidump" || word.starts_with("minidump_")) && names_crate && top != "dump" {
            say(token.line, format!("`{word}::`: the minidump crate is named only in src/dump/"));
        }
        if word == "memmap2" && names_crate && file != "source/mapped.rs" {
            say(token.line, "`memmap2`: only in src/source/mapped.rs".into());
        }
        if (word == "clap" || word.starts_with("clap_")) && names_crate && !program {
            say(token.line, format!("`{word}`: only in src/main.rs and src/cli/"));
        }
        if matches!(word, "print" | "println" | "eprint" | "eprintln") && next(1) == "!" && !program
        {
            say(token.line, format!("`{word}!`: printing is for src/main.rs and src/cli/"));
        }
        if word == "process" && next(1) == "::" && matches!(next(2), "exit" | "abort") && !program {
            say(token.line, format!("`process::{}`: only in src/main.rs and src/cli/", next(2)));
        }
        if word == "derive" && next(1) == "(" && top != "report" {
            let names = tokens[at..].iter().take_while(|t| t.text != ")");
            if let Some(hit) = names.into_iter().find(|t| t.text == "Serialize") {
                say(hit.line, "`derive(Serialize)`: only in src/report.rs, src/report/".into());
            }
        }
        if top != "lib" && starts_path(&tokens, at) {
            let mut scope = module.clone();
            scope.extend(inline_modules(&tokens, at));
            for (line, path) in use_tree(&tokens, at) {
                if let Some(what) = direction_broken(&top, &scope, &path) {
                    say(line, what);
                }
            }
        }
    }
}

/// Why `path`, written in `scope` below the module `top`, breaks the direction.
fn direction_broken(top: &str, scope: &[String], path: &[String]) -> Option<String> {
    let mut at = scope.to_vec();
    for part in path {
        match part.as_str() {
            "crate" | "dumpmap" => at.clear(),
            "self" => {}
            "super" => {
                at.pop();
            }
            name => at.push(name.to_owned()),
        }
    }
    let shown = path.join("::");
    let name = at.first()?;
    if name == top || layer(top).is_some_and(|from| from <= 1) {
        return None;
    }
    let order = "a module may use only those to its right: main -> cli -> render -> report -> \
                 {batch, diff, fits, policy, unexplained} -> owner -> analysis -> rules -> classify -> evidence -> \
                 map -> dump -> inputs -> source -> {limits, issue, error, addr}";
    if top == SYNTH {
        return Some(format!("`{shown}`: synth depends on nothing"));
    }
    if name == SYNTH {
        return Some(format!("`{shown}`: synth is for tests, fuzz targets and the program"));
    }
    let target = ROOT_ITEMS
        .iter()
        .find(|(item, _)| item == name)
        .map_or(name.as_str(), |(_, module)| module);
    let Some(to) = layer(target) else {
        return Some(format!(
            "`{shown}` is no module of the crate root: name the module it lives in, so that the \
             direction can be seen"
        ));
    };
    let from = layer(top)?;
    let base = LAYERS.len() - 1;
    if from < to || (from == base && to == base) || target == top {
        return None;
    }
    Some(format!("`{shown}`: {top} uses {target}; {order}"))
}

fn layer(module: &str) -> Option<usize> {
    LAYERS.iter().position(|names| names.contains(&module))
}

fn unfinished_mark(text: &str) -> Option<&'static str> {
    let mut words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.find_map(|word| ["TODO", "FIXME", "XXX"].into_iter().find(|mark| *mark == word))
}

// ---- where a token stands ---------------------------------------------------

/// `dump/modules.rs` is `[dump, modules]`; `dump/mod.rs` is `[dump]`; `lib.rs` is `[]`.
fn module_path(file: &str) -> Vec<String> {
    let stem = file.strip_suffix(".rs").unwrap_or(file);
    let mut parts: Vec<String> = stem.split('/').map(str::to_owned).collect();
    if parts.last().is_some_and(|last| last == "mod") {
        parts.pop();
    }
    if parts == ["lib"] {
        parts.clear();
    }
    parts
}

/// `src/x/tests.rs` and `src/x/tests/…`, declared by `#[cfg(test)] mod tests;`.
fn is_test_file(file: &str) -> bool {
    file.split('/').any(|part| matches!(part, "tests" | "tests.rs" | "testing.rs"))
}

/// Token ranges of the items under `#[cfg(test)]` and `#[test]`.
fn test_ranges(tokens: &[Token]) -> Vec<Range<usize>> {
    let text = |at: usize| tokens.get(at).map_or("", |t| t.text.as_str());
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        if !(text(at) == "#" && text(at + 1) == "[") {
            at += 1;
            continue;
        }
        let end = closing(tokens, at + 1);
        let words: Vec<&str> = (at + 2..end).map(text).collect();
        let of_test = words == ["test"]
            || (words.first() == Some(&"cfg")
                && words.contains(&"test")
                && !words.contains(&"not"));
        if of_test {
            let item_end = item_end(tokens, end + 1);
            found.push(at..item_end);
            at = item_end;
        } else {
            at = end + 1;
        }
    }
    found
}

/// The index after the item that starts at `at`: its `;`, or its closing brace.
fn item_end(tokens: &[Token], mut at: usize) -> usize {
    let text = |at: usize| tokens.get(at).map_or("", |t| t.text.as_str());
    while text(at) == "#" && text(at + 1) == "[" {
        at = closing(tokens, at + 1) + 1;
    }
    let ends_in_semicolon =
        text(at) == "use" || text(at + 1) == "use" || (text(at) == "const" && text(at + 1) != "fn");
    while at < tokens.len() {
        match text(at) {
            ";" => return at + 1,
            "(" | "[" => at = closing(tokens, at),
            "{" if ends_in_semicolon => at = closing(tokens, at),
            "{" => return closing(tokens, at) + 1,
            _ => {}
        }
        at += 1;
    }
    at
}

/// The index of the bracket that closes the one at `open`.
fn closing(tokens: &[Token], open: usize) -> usize {
    let mut depth = 0usize;
    for (at, token) in tokens.iter().enumerate().skip(open) {
        match token.text.as_str() {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return at;
                }
            }
            _ => {}
        }
    }
    tokens.len()
}

/// Names of the `mod name { … }` blocks around the token at `at`.
fn inline_modules(tokens: &[Token], at: usize) -> Vec<String> {
    let mut names = Vec::new();
    for (open, pair) in tokens[..at].windows(3).enumerate() {
        if pair[0].text == "mod" && pair[2].text == "{" && closing(tokens, open + 2) > at {
            names.push(pair[1].text.clone());
        }
    }
    names
}

// ---- paths ------------------------------------------------------------------

/// Whether a path that names modules of this crate starts at `at`.
fn starts_path(tokens: &[Token], at: usize) -> bool {
    let text = |at: usize| tokens.get(at).map_or("", |t| t.text.as_str());
    let before = |n: usize| at.checked_sub(n).map_or("", |i| tokens[i].text.as_str());
    matches!(text(at), "crate" | "super" | "self" | "dumpmap")
        && text(at + 1) == "::"
        && before(1) != "::"
        && !inside_use_braces(before(1), before(2))
}

/// `{self::x` or `, super::x` within a use list are reached from the list's own start.
fn inside_use_braces(before: &str, before_that: &str) -> bool {
    before == "{" && before_that == "::"
}

/// Every path of the tree that starts at `at`: `a::{b, c::d}` is `a::b` and `a::c::d`.
fn use_tree(tokens: &[Token], at: usize) -> Vec<(usize, Vec<String>)> {
    let mut found = Vec::new();
    walk_tree(tokens, at, &[], &mut found);
    found
}

/// Returns the index after the tree.
fn walk_tree(
    tokens: &[Token],
    mut at: usize,
    stem: &[String],
    found: &mut Vec<(usize, Vec<String>)>,
) -> usize {
    let text = |at: usize| tokens.get(at).map_or("", |t| t.text.as_str());
    let mut path = stem.to_vec();
    let line = tokens.get(at).map_or(0, |t| t.line);
    loop {
        if text(at) == "{" {
            let end = closing(tokens, at);
            at += 1;
            while at < end {
                at = walk_tree(tokens, at, &path, found);
                while at < end && text(at) != "," {
                    at += 1;
                }
                at += 1;
            }
            return end + 1;
        }
        if !is_word(text(at)) && text(at) != "*" {
            break;
        }
        path.push(text(at).to_owned());
        at += 1;
        if text(at) != "::" {
            break;
        }
        at += 1;
    }
    if path.len() > stem.len() {
        found.push((line, path));
    }
    at
}

fn is_word(text: &str) -> bool {
    text.starts_with(|c: char| c == '_' || c.is_alphabetic())
}

// ---- a lexer that knows comments and literals, and no more -------------------

struct Token {
    line: usize,
    text: String,
}

struct Lexed {
    /// Words, `::` and single punctuation marks. No comments, strings, characters or numbers.
    tokens: Vec<Token>,
    /// The line each comment starts on, and its text.
    comments: Vec<(usize, String)>,
}

fn lex(text: &str) -> Lexed {
    let chars: Vec<char> = text.chars().collect();
    let peek = |at: usize| chars.get(at).copied().unwrap_or('\0');
    let (mut tokens, mut comments) = (Vec::new(), Vec::new());
    let (mut at, mut line) = (0, 1);
    while at < chars.len() {
        let start = at;
        let c = peek(at);
        if c == '/' && peek(at + 1) == '/' {
            while at < chars.len() && peek(at) != '\n' {
                at += 1;
            }
            comments.push((line, chars[start..at].iter().collect()));
        } else if c == '/' && peek(at + 1) == '*' {
            at = block_comment_end(&chars, at);
            comments.push((line, chars[start..at].iter().collect()));
        } else if let Some(end) = string_end(&chars, at) {
            at = end;
        } else if c == '\'' {
            at = quote_end(&chars, at);
        } else if c == '_' || c.is_alphabetic() {
            if c == 'r' && peek(at + 1) == '#' {
                at += 2; // r#type
            }
            let word = at;
            while peek(at) == '_' || peek(at).is_alphanumeric() {
                at += 1;
            }
            tokens.push(Token { line, text: chars[word..at].iter().collect() });
        } else if c.is_ascii_digit() {
            while peek(at) == '_' || peek(at).is_alphanumeric() {
                at += 1;
            }
        } else if c == ':' && peek(at + 1) == ':' {
            at += 2;
            tokens.push(Token { line, text: "::".into() });
        } else {
            at += 1;
            if !c.is_whitespace() {
                tokens.push(Token { line, text: c.into() });
            }
        }
        line += chars[start..at].iter().filter(|c| **c == '\n').count();
    }
    Lexed { tokens, comments }
}

fn block_comment_end(chars: &[char], mut at: usize) -> usize {
    let mut depth = 0usize;
    while at < chars.len() {
        match (chars[at], chars.get(at + 1)) {
            ('/', Some('*')) => (depth, at) = (depth + 1, at + 2),
            ('*', Some('/')) => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at.min(chars.len())
}

/// The index after the string literal at `at`: `"…"`, `b"…"`, `c"…"`, `r#"…"#`, `br"…"`.
fn string_end(chars: &[char], at: usize) -> Option<usize> {
    let mut i = at;
    if matches!(chars.get(i), Some('b' | 'c')) {
        i += 1;
    }
    let raw = chars.get(i) == Some(&'r');
    if raw {
        i += 1;
    }
    let hashes = chars.get(i..)?.iter().take_while(|c| **c == '#').count();
    if hashes > 0 && !raw {
        return None;
    }
    i += hashes;
    if chars.get(i) != Some(&'"') {
        return None;
    }
    i += 1;
    while i < chars.len() {
        match chars[i] {
            '\\' if !raw => i += 1,
            '"' if chars[i + 1..].iter().take(hashes).filter(|c| **c == '#').count() == hashes => {
                return Some(i + 1 + hashes);
            }
            _ => {}
        }
        i += 1;
    }
    Some(chars.len())
}

/// The index after `'x'` or `'\n'`; after the quote alone for a lifetime.
fn quote_end(chars: &[char], at: usize) -> usize {
    match (chars.get(at + 1), chars.get(at + 2)) {
        (Some('\\'), _) => {
            let mut i = at + 3;
            while i < chars.len() && chars[i] != '\'' {
                i += 1;
            }
            i + 1
        }
        (Some(_), Some('\'')) => at + 3,
        _ => at + 1,
    }
}

fn rust_files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).expect("src is a readable folder") {
        let path = entry.expect("a readable entry").path();
        if path.is_dir() {
            found.extend(rust_files(&path));
        } else if path.extension().is_some_and(|ext| ext == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn slashed(path: &Path) -> String {
    let parts: Vec<_> = path.iter().map(|part| part.to_string_lossy()).collect();
    parts.join("/")
}

// ---- the checker itself -----------------------------------------------------

/// The broken rules in `text` as if it were `src/FILE`, without their `src/FILE:`.
#[track_caller]
fn expect(file: &str, text: &str, expected: &[&str]) {
    let mut broken = Vec::new();
    check(file, text, &mut broken);
    let got: Vec<String> = broken
        .iter()
        .map(|b| b.strip_prefix(&format!("src/{file}:")).unwrap_or(b).to_owned())
        .collect();
    let same = got.len() == expected.len() && got.iter().zip(expected).all(|(g, e)| g.contains(e));
    assert!(same, "expected {expected:#?}, got {got:#?}");
}

#[test]
fn direction_is_seen_in_every_way_to_write_it() {
    expect("map/mod.rs", "use crate::dump::Dump;\nuse crate::addr::Address;", &[]);
    expect("map/mod.rs", "\nuse crate::rules::Rule;", &["2: `crate::rules::Rule`: map uses rules"]);
    expect(
        "map/build.rs",
        "use crate::{dump::{self, Dump}, addr,\n  render::text, report};",
        &["2: `crate::render::text`", "2: `crate::report`"],
    );
    expect("map/build.rs", "fn f() { crate::classify::classify() }", &["1: `crate::classify"]);
    expect("map/build.rs", "use super::super::classify;", &["1: `super::super::classify`"]);
    expect(
        "map/build.rs",
        "use super::{super::classify::x, Region};",
        &["`super::super::classify"],
    );
    expect("map/build.rs", "use super::Region; use self::inner::X;", &[]);
    expect(
        "map.rs",
        "mod a { use super::super::report; use super::x; }",
        &["`super::super::report`"],
    );
    expect(
        "map/build.rs",
        "let x: Option<crate::report::Report> = None;",
        &["`crate::report::Report`"],
    );
    expect("batch.rs", "use crate::diff::X;", &["batch uses diff"]);
    expect("batch.rs", "let a = crate::analyze(s, l);", &[]);
    expect("issue.rs", "use crate::{addr::FileOffset, error};", &[]);
    expect("rules/a.rs", "use crate::Address;", &["is no module of the crate root"]);
    expect("rules/a.rs", "use crate::synth::DumpBuilder;", &["synth is for tests"]);
    expect("rules/a.rs", "#[cfg(test)]\nmod tests { use crate::{synth, analyze, render}; }", &[]);
    expect("rules/a.rs", "#[cfg(not(test))] use crate::render;", &["rules uses render"]);
    expect(
        "rules/a.rs",
        "#[cfg(test)] use crate::{render};\nuse crate::cli;",
        &["2: `crate::cli`"],
    );
    expect("synth.rs", "use crate::addr::Address;", &["synth depends on nothing"]);
    expect("cli/summary.rs", "use dumpmap::{Analysis, render::text, synth};", &[]);
    expect("lib.rs", "pub use crate::render::text;", &[]);
    expect("helper.rs", "", &["1: module `helper` is in no layer"]);
}

#[test]
fn names_are_held_to_their_place() {
    expect("map/a.rs", "fn f(x: minidump::Module) {}", &["the minidump crate is named only"]);
    expect("map/a.rs", "use minidump as md;", &["the minidump crate is named only"]);
    expect("map/a.rs", "use minidump_common::format;", &["the minidump crate is named only"]);
    expect("render/a.rs", "use super::minidump::write; let minidump = 1;", &[]);
    expect("dump/a.rs", "use minidump::Minidump;", &[]);
    expect("source/a.rs", "unsafe { memmap2::Mmap::map(f) }", &["`unsafe`", "`memmap2`"]);
    expect("source/mapped.rs", "unsafe { memmap2::Mmap::map(f) }", &[]);
    expect("lib.rs", "#![deny(unsafe_code)]", &[]);
    expect(
        "map/a.rs",
        "println!(\"\"); std::process::exit(1);",
        &["`println!`", "`process::exit`"],
    );
    expect("cli/a.rs", "use clap::Parser; println!(\"\"); std::process::exit(1);", &[]);
    expect("render/a.rs", "use clap::Parser;", &["`clap`"]);
    expect("dump/a.rs", "#[derive(Debug,\nSerialize)] struct A;", &["2: `derive(Serialize)`"]);
    expect("report/a.rs", "#[derive(Debug, Serialize)] struct A;", &[]);
    expect("map/a.rs", "// x\n/* y\n TODO: z */", &["3: `TODO`"]);
    expect("map/a.rs", &"\n".repeat(801), &["801: 801 lines"]);
}

#[test]
fn comments_and_literals_are_no_code() {
    expect("map/a.rs", "/// crate::render::text, unsafe\n/* /* println!() */ clap:: */", &[]);
    expect("map/a.rs", r##"let a = "crate::render \" unsafe"; let b = r#"unsafe " TODO"#;"##, &[]);
    expect(
        "map/a.rs",
        r"let q = '\''; let b = b'\''; fn f<'a>(x: &'a u8) {} unsafe {}",
        &["`unsafe`"],
    );
    expect("map/a.rs", r#"let q = '"'; unsafe {} let r = '"';"#, &["`unsafe`"]);
}
