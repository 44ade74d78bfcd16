//! `completions`: what a shell needs to complete the command line.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::{Cli, Done, Options, output};

#[derive(Debug, Args)]
pub(super) struct Completions {
    /// Which shell
    shell: Shell,
}

pub(super) fn run(args: &Completions, options: &Options) -> Done {
    // Into memory first: the generator panics when the output cannot be written.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "dumpmap", &mut script);
    output::write(options, &[], |out, _| out.write_all(&script))
}
