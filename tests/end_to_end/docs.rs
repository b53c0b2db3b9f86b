//! Pages that are generated from the code.

use std::{fs, path::Path};

use equibatch_harness::{checkout, images::ImageFolder, process::server};
use equibatch_tests::docs::reference;

#[test]
fn the_reference_page_is_up_to_date() {
    let path = checkout::path("docs/reference.md");
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
fn every_field_of_the_contract_is_documented_or_listed_as_obvious() {
    // A field without a comment is listed here with the reason.
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

#[test]
fn names_in_comments_of_the_contract_exist() {
    let path = checkout::path("proto/equibatch/v1/equibatch.proto");
    let contract = fs::read_to_string(path).unwrap();
    let (comments, code): (Vec<&str>, Vec<&str>) = contract
        .lines()
        .partition(|line| line.trim_start().starts_with("//"));
    let is_name =
        |word: &&str| word.contains('_') && word.chars().all(|c| c.is_ascii_lowercase() || c == '_');
    let named: Vec<&str> = comments
        .iter()
        .flat_map(|line| line.split('`'))
        .filter(is_name)
        .collect();
    assert!(named.contains(&"effective_number_weight"), "{named:?}");
    for name in named {
        let is_there = code
            .iter()
            .any(|line| line.split_whitespace().any(|word| word == name));
        assert!(is_there, "there is no `{name}`");
    }
}

#[test]
fn the_contract_lists_what_the_hash_of_a_request_leaves_out() {
    let page = reference();
    let row = page
        .lines()
        .find(|line| line.starts_with("| `spec_hash` | 1 |"))
        .unwrap();
    for field in [
        "dataset",
        "seed",
        "epochs",
        "start",
        "shard",
        "expected_fingerprint",
        "stride",
        "weight",
        "reports",
        "normalization",
    ] {
        assert!(row.contains(&format!("`{field}`")), "{field} is not in {row}");
    }
}

#[test]
fn the_help_lists_every_limit_of_a_token() {
    let images = ImageFolder::new(&[("birds", 2), ("flowers", 2)]);
    let tokens = images.root().join("tokens.txt");
    fs::write(&tokens, "0123456789abcdef laptop nonsense=1\n").unwrap();
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    let refused = server(&[
        "serve",
        "--data",
        &text(images.root()),
        "--tokens",
        &text(&tokens),
    ]);
    let refused = String::from_utf8_lossy(&refused.stderr).into_owned();
    let known = refused
        .split("expected one of ")
        .nth(1)
        .unwrap()
        .lines()
        .next()
        .unwrap();
    let help = server(&["serve", "--help"]);
    let help = String::from_utf8_lossy(&help.stdout).into_owned();
    let keys: Vec<&str> = known.split(", ").map(str::trim).collect();
    assert!(keys.contains(&"weight"), "{refused}");
    for key in keys {
        assert!(help.contains(&format!("{key}=")), "{key}");
    }
}
