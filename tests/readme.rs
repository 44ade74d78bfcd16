//! The pages for users say what the program does: every command in a `console`
//! block is run, the library example is the one that is built, every command
//! has its row, every link leads somewhere.
//!
//! `DUMPMAP_WRITE_README=1 cargo test --test readme` writes the blocks anew.

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const PROMPT: &str = "$ ";

/// README.md and the pages in docs/, with their paths from the root.
fn pages() -> Vec<PathBuf> {
    let mut pages = vec![PathBuf::from("README.md")];
    for entry in fs::read_dir(Path::new(ROOT).join("docs")).into_iter().flatten() {
        let path = entry.expect("a readable entry").path();
        if path.extension().is_some_and(|extension| extension == "md") {
            pages.push(path.strip_prefix(ROOT).expect("below the root").to_owned());
        }
    }
    pages.sort();
    pages
}

fn read(page: &Path) -> String {
    let text = fs::read_to_string(Path::new(ROOT).join(page));
    let text = text.unwrap_or_else(|error| panic!("{}: {error}", page.display()));
    text.replace("\r\n", "\n")
}

/// What the program writes to standard output; it runs in the project's folder.
fn output_of(arguments: &str) -> String {
    let run = Command::new(env!("CARGO_BIN_EXE_dumpmap"))
        .args(arguments.split_whitespace())
        .current_dir(ROOT)
        .output()
        .expect("the program runs");
    let stdout = String::from_utf8(run.stdout).expect("UTF-8");
    assert!(!stdout.is_empty(), "{arguments}: {}", String::from_utf8_lossy(&run.stderr));
    stdout
}

/// The page with what its commands answer now.
fn refreshed(page: &str) -> String {
    let mut out = String::new();
    let mut lines = page.lines().peekable();
    while let Some(line) = lines.next() {
        out += line;
        out.push('\n');
        if line != "```console" {
            continue;
        }
        while let Some(line) = lines.next_if(|line| *line != "```") {
            out += line;
            out.push('\n');
            let Some(arguments) = line.strip_prefix("$ dumpmap ") else { continue };
            while lines.next_if(|line| *line != "```" && !line.starts_with(PROMPT)).is_some() {}
            out += &output_of(arguments);
        }
    }
    out
}

#[test]
fn console_blocks_are_real_output() {
    if !Path::new(ROOT).join("fixtures/scenarios").is_dir() {
        support::skip("no fixtures/scenarios: the package leaves them out");
        return;
    }
    let write = std::env::var_os("DUMPMAP_WRITE_README").is_some();
    for page in pages() {
        let text = read(&page);
        let now = refreshed(&text);
        if write {
            fs::write(Path::new(ROOT).join(&page), &now).expect("a page that can be written");
        } else if let Some((was, is)) = text.lines().zip(now.lines()).find(|(a, b)| a != b) {
            panic!(
                "{}: the program answers otherwise\n page: {was}\n now:  {is}\n\
                 DUMPMAP_WRITE_README=1 cargo test --test readme writes it anew",
                page.display()
            );
        } else {
            assert_eq!(text, now, "{}: the program answers otherwise", page.display());
        }
    }
}

#[test]
fn the_library_example_is_the_one_that_is_built() {
    let readme = read(Path::new("README.md"));
    let example = read(Path::new("examples/embed.rs"));
    let (_, block) = readme.split_once("```rust\n").expect("a library example");
    let (block, _) = block.split_once("```").expect("its end");
    assert!(example.ends_with(&format!("\n{block}")), "examples/embed.rs does not end with it");
}

#[test]
fn every_command_has_its_row() {
    let readme = read(Path::new("README.md"));
    let (_, table) = readme.split_once("| command | answers |").expect("the table of commands");
    let rows: Vec<&str> = table.lines().skip(2).take_while(|line| line.starts_with('|')).collect();
    let help = output_of("--help");
    let commands = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    for command in commands.map_while(|line| line.split_whitespace().next()) {
        let named = format!("`{command}");
        let in_row = |row: &&str| {
            row.match_indices(&named).any(|(at, _)| row[at + named.len()..].starts_with([' ', '`']))
        };
        assert!(command == "help" || rows.iter().any(in_row), "README.md: no row for {command}");
    }
    for row in rows {
        for named in row.split('|').nth(1).unwrap_or("").split('`').skip(1).step_by(2) {
            let command = named.split(' ').next().unwrap_or(named);
            let known = format!("\n  {command} ");
            assert!(
                help.contains(&known),
                "README.md has a row for {command}, which is no command"
            );
        }
    }
}

#[test]
fn links_lead_somewhere() {
    let mut pages = pages();
    for page in ["CONTRIBUTING.md", "SECURITY.md", "fixtures/README.md", "benches/README.md"] {
        pages.push(PathBuf::from(page));
    }
    for page in pages {
        let text = read(&page);
        let folder = Path::new(ROOT).join(page.parent().expect("a folder"));
        for (at, _) in text.match_indices("](") {
            let target = text[at + 2..].split(')').next().unwrap_or("");
            let path = target.split('#').next().unwrap_or("");
            if !target.contains("://") && !path.is_empty() {
                assert!(folder.join(path).exists(), "{}: no {target}", page.display());
            }
        }
    }
}
