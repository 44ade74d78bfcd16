//! Parses its arguments and prints one of them.

use clap::Parser;
use std::path::PathBuf;

#[derive(Parser)]
#[command(version, about)]
struct Args {
    /// Named, never opened.
    file: PathBuf,
}

fn main() {
    println!("{}", Args::parse().file.display());
}
