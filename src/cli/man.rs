//! `man`: the manual page, of the program or of one command.

use clap::{Args, CommandFactory};
use clap_mangen::Man as Page;

use super::{Cli, Done, Failure, Options, output};

#[derive(Debug, Args)]
pub(super) struct Man {
    /// A command; without it the page of the program
    command: Option<String>,
}

pub(super) fn run(args: &Man, options: &Options) -> Done {
    let mut program = Cli::command();
    program.build();
    let command = match &args.command {
        None => program,
        Some(name) => program
            .find_subcommand(name)
            .cloned()
            .ok_or_else(|| Failure::Message(format!("man: no command is called {name}")))?,
    };
    output::write(options, &[], |out, _| {
        let mut page = Vec::new();
        Page::new(command).render(&mut page)?;
        out.write_all(&page)
    })
}
