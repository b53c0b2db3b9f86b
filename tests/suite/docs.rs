//! Pages that are made from the code.

use std::{fs, path::Path};

use equibatch_tests::docs::reference;

#[test]
fn the_reference_says_what_the_code_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/reference.md");
    let (written, made) = (fs::read_to_string(&path).unwrap(), reference());
    let differing = written
        .lines()
        .zip(made.lines())
        .find(|(written, made)| written != made);
    assert!(
        written == made,
        "docs/reference.md is of before: `make reference` writes it anew. First difference: {differing:#?}"
    );
}

#[test]
fn every_field_of_the_contract_is_explained_or_speaks_for_itself() {
    // Whoever adds a field without a comment says here why it needs none.
    const PLAIN: [&str; 16] = [
        "name",
        "dataset",
        "seed",
        "reason",
        "fingerprint",
        "classes",
        "split",
        "layout",
        "element_type",
        "normalization",
        "mean",
        "std",
        "description",
        "batch",
        "datasets",
        "spec_hash",
    ];
    let page = reference();
    let contract = page.split("## The contract").nth(1).unwrap();
    let silent: Vec<&str> = contract
        .lines()
        .filter(|line| line.starts_with("| `") && line.ends_with("|  |"))
        .filter_map(|line| line.split('`').nth(1))
        .filter(|name| !PLAIN.contains(name) && *name != name.to_uppercase())
        .collect();
    assert_eq!(silent, [] as [&str; 0]);
}
