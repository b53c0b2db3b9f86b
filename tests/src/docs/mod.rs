//! The pages of `docs/` that are generated from the code.
//!
//! - [`reference()`]: every option of both programs, and every message and field of the contract.

mod contract;
mod options;

use clap::CommandFactory as _;

/// The text of `docs/reference.md`.
#[must_use]
pub fn reference() -> String {
    let mut page = String::from(
        "# Reference\n\nEvery option of both programs, and every message and field of the contract. Made from the code by\n\
         `cargo run --package equibatch-tests --bin reference`; do not edit.\n\n",
    );
    let programs = [
        equibatch_server::args::Arguments::command(),
        equibatch_client::args::Arguments::command(),
    ];
    let programs = programs.map(|mut program| {
        program.build();
        program
    });
    page += "## Contents\n\n";
    for program in &programs {
        options::contents(program, &mut page);
    }
    page += "- [The contract](#the-contract)\n\n";
    for program in &programs {
        options::program(program, &mut page);
    }
    contract::contract(&mut page);
    page
}

/// Text as a cell of a table, or within a line.
fn inline(text: &str) -> String {
    let joined = text.split_whitespace().collect::<Vec<_>>().join(" ");
    joined.replace('|', "\\|").replace('<', "&lt;")
}
