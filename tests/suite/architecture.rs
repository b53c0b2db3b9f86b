//! The import rules of ARCHITECTURE.md, checked against the sources.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// Module, and the modules of its own crate that it may name.
type Rules = &'static [(&'static str, &'static [&'static str])];

const SERVER: Rules = &[
    ("image", &[]),
    ("random", &[]),
    ("geometry", &[]),
    ("tone", &[]),
    ("header", &[]),
    ("terminal", &[]),
    ("sheet", &[]),
    ("files", &[]),
    ("memory", &[]),
    ("machine", &[]),
    ("descriptors", &[]),
    ("moments", &["image"]),
    ("dataset", &["header", "random"]),
    ("sampling", &["random"]),
    ("decode", &["dataset", "header", "image", "machine", "memory"]),
    ("cache", &["dataset", "image"]),
    ("retouch", &[]),
    ("blend", &[]),
    ("checksum", &[]),
    (
        "augment",
        &["blend", "geometry", "image", "random", "retouch", "tone"],
    ),
    ("tensor", &["blend", "geometry", "image", "machine", "tone"]),
    (
        "pipeline",
        &[
            "augment", "blend", "cache", "checksum", "dataset", "decode", "geometry", "image", "memory",
            "random", "retouch", "sampling", "size", "tensor", "tone",
        ],
    ),
    (
        "service",
        &[
            "pipeline",
            "augment",
            "dataset",
            "sampling",
            "tensor",
            "cache",
            "decode",
            "size",
            "telemetry",
        ],
    ),
    ("size", &[]),
    ("receive", &["checksum", "memory"]),
    ("admin", &["cache", "dataset", "pipeline", "service", "telemetry"]),
    ("sample_data", &["random"]),
    (
        "stats",
        &[
            "dataset", "decode", "image", "moments", "sampling", "size", "terminal",
        ],
    ),
    (
        "preview",
        &["augment", "decode", "files", "pipeline", "sheet", "terminal"],
    ),
    ("download", &["decode", "files", "header", "size", "terminal"]),
    (
        "verify",
        &[
            "dataset", "decode", "files", "header", "image", "moments", "terminal",
        ],
    ),
    ("args", &[]),
    ("telemetry", &["args", "terminal"]),
    (
        "config",
        &[
            "args",
            "augment",
            "bench",
            "dataset",
            "download",
            "memory",
            "pipeline",
            "sample_data",
            "sampling",
            "service",
            "size",
            "stats",
            "telemetry",
            "tensor",
            "verify",
        ],
    ),
    // Of the program, not of the library.
    ("command", &[]),
    (
        "bench",
        &[
            "service",
            "pipeline",
            "receive",
            "augment",
            "cache",
            "dataset",
            "decode",
            "image",
            "random",
            "sample_data",
            "sampling",
            "tensor",
        ],
    ),
];

const CLIENT: Rules = &[
    ("graph", &[]),
    ("kernels", &[]),
    ("autodiff", &["graph"]),
    ("nn", &["graph"]),
    ("optim", &["graph"]),
    ("schedule", &[]),
    ("program", &["autodiff", "graph", "nn", "optim"]),
    ("runtime", &["program", "graph", "kernels"]),
    ("stream", &[]),
    ("weights", &["program", "graph"]),
    ("learn", &["runtime", "stream", "schedule", "program", "weights"]),
    (
        "args",
        &["learn", "program", "runtime", "schedule", "stream", "weights"],
    ),
    ("config", &["args", "learn", "program", "runtime", "stream"]),
    ("telemetry", &[]),
    (
        "command",
        &[
            "args", "config", "learn", "runtime", "schedule", "stream", "weights",
        ],
    ),
];

/// Word, and the modules that may name it.
const SERVER_WORDS: Rules = &[
    ("tonic", &["service", "receive", "bench", "lib", "telemetry"]),
    ("prost", &["service", "receive"]),
    ("equibatch_proto", &["service", "receive", "bench", "lib"]),
    (
        "tokio",
        &[
            "admin", "service", "receive", "pipeline", "bench", "lib", "main", "reload", "shutdown",
        ],
    ),
    ("axum", &["admin"]),
    ("prometheus_client", &["admin"]),
    ("tokio_rustls", &["service"]),
    ("rand_chacha", &["random", "augment", "sample_data"]),
    ("opentelemetry", &["telemetry"]),
    ("ureq", &["download"]),
];

const CLIENT_WORDS: Rules = &[
    ("tonic", &["stream"]),
    ("equibatch_proto", &["stream"]),
    ("prost", &["graph", "learn", "stream"]),
    ("ort", &["runtime"]),
    ("hf_hub", &["weights"]),
    ("tokio", &["stream", "command"]),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Every source file below `folder` but files of tests, with the top-level module that it belongs to.
fn sources(folder: &Path) -> Vec<(String, PathBuf)> {
    let mut found = vec![];
    let mut open = vec![folder.to_path_buf()];
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(&next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs")
                && !path.ends_with("tests.rs")
            {
                let inside = path.strip_prefix(folder).unwrap();
                let module = inside.components().next().unwrap().as_os_str().to_str().unwrap();
                found.push((module.trim_end_matches(".rs").to_owned(), path));
            }
        }
    }
    found
}

/// The sources without comments and without test modules.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    let text = text.split("#[cfg(test)]").next().unwrap_or_default();
    text.lines()
        .map(|line| line.split("//").next().unwrap_or_default())
        .collect::<Vec<_>>()
        .join("\n")
}

/// The names that follow `crate::`, also in a braced list.
fn modules_named(code: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for (start, _) in code.match_indices("crate::") {
        let before = code[..start].chars().next_back();
        if before.is_some_and(|c| c.is_alphanumeric() || c == '_') {
            continue;
        }
        let rest = &code[start + "crate::".len()..];
        if let Some(list) = rest.strip_prefix('{') {
            let mut depth = 0;
            let mut word = String::new();
            for c in list.chars() {
                match c {
                    '{' => depth += 1,
                    '}' if depth == 0 => break,
                    '}' => depth -= 1,
                    ',' if depth == 0 => names.extend(Some(std::mem::take(&mut word))),
                    c if depth == 0 => word.push(c),
                    _ => {}
                }
            }
            names.insert(word);
        } else {
            names.insert(
                rest.chars()
                    .take_while(|c| c.is_alphanumeric() || *c == '_')
                    .collect(),
            );
        }
    }
    let first = |name: String| {
        name.trim()
            .split("::")
            .next()
            .unwrap_or_default()
            .trim()
            .to_owned()
    };
    names
        .into_iter()
        .map(first)
        .filter(|name| !name.is_empty())
        .collect()
}

fn names_word(code: &str, word: &str) -> bool {
    code.match_indices(word).any(|(start, _)| {
        let boundary = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric() && c != '_');
        boundary(code[..start].chars().next_back()) && code[start + word.len()..].starts_with("::")
    })
}

fn violations(member: &str, rules: Rules, words: Rules) -> Vec<String> {
    let mut broken = vec![];
    for (module, path) in sources(&root().join(member).join("src")) {
        let code = code(&path);
        let shown = path.strip_prefix(root()).unwrap().display().to_string();
        if let Some((_, allowed)) = rules.iter().find(|(name, _)| *name == module) {
            for named in modules_named(&code) {
                let is_module = rules.iter().any(|(name, _)| *name == named);
                if is_module && named != module && !allowed.contains(&named.as_str()) {
                    broken.push(format!("{shown}: `{module}` may not import `{named}`"));
                }
            }
        }
        for (word, allowed) in words {
            let in_module_tree = rules.iter().any(|(name, _)| *name == module);
            if in_module_tree && !allowed.contains(&module.as_str()) && names_word(&code, word) {
                broken.push(format!("{shown}: `{module}` may not name `{word}`"));
            }
        }
    }
    broken
}

#[test]
fn server_modules_import_downwards_only() {
    assert_eq!(violations("server", SERVER, SERVER_WORDS), Vec::<String>::new());
}

#[test]
fn client_modules_import_downwards_only() {
    assert_eq!(violations("client", CLIENT, CLIENT_WORDS), Vec::<String>::new());
}

/// Functions of the standard library whose last bit depends on the system, the processor or the compiler's release. The square root is
/// exact everywhere.
const INEXACT: &[&str] = &[
    "acos", "acosh", "asin", "asinh", "atan", "atan2", "atanh", "cbrt", "cos", "cosh", "exp", "exp2",
    "exp_m1", "hypot", "ln", "ln_1p", "ln_gamma", "gamma", "log", "log10", "log2", "powf", "powi", "sin",
    "sin_cos", "sinh", "tan", "tanh",
];

/// Those that `code` calls, as methods or by path.
fn inexact_calls(code: &str) -> Vec<&'static str> {
    let is_called = |name: &&&str| {
        let by_path = ["f32::", "f64::"].iter().any(|kind| {
            let called = format!("{kind}{name}");
            code.match_indices(&called).any(|(start, _)| {
                let after = code[start + called.len()..].chars().next();
                after.is_none_or(|c| !c.is_alphanumeric() && c != '_')
            })
        });
        by_path || code.contains(&format!(".{name}("))
    };
    INEXACT.iter().filter(is_called).copied().collect()
}

#[test]
fn the_server_computes_by_libm_what_the_standard_library_does_not_promise() {
    let sources = sources(&root().join("server/src"));
    let calls = sources.iter().flat_map(|(_, path)| {
        let calls = inexact_calls(&code(path)).into_iter();
        calls.map(move |name| format!("{}: {name}", path.strip_prefix(root()).unwrap().display()))
    });
    assert_eq!(calls.collect::<Vec<_>>(), Vec::<String>::new());
}

#[test]
fn every_module_has_a_rule() {
    for (member, rules) in [("server", SERVER), ("client", CLIENT)] {
        let library = fs::read_to_string(root().join(member).join("src/lib.rs")).unwrap();
        let modules = library.lines().filter_map(|line| line.strip_prefix("pub mod "));
        for name in modules.map(|name| name.trim_end_matches(';')) {
            assert!(
                rules.iter().any(|(module, _)| *module == name),
                "{member}: no import rule for `{name}`"
            );
        }
    }
}

#[test]
fn every_safety_comment_has_an_argument_of_its_own() {
    let without = concat!("SAFETY: the ", "caller's");
    let folders = ["server/src", "client/src", "tests/src", "tests/suite"];
    let files = folders.iter().flat_map(|folder| sources(&root().join(folder)));
    let found = files.filter(|(_, path)| fs::read_to_string(path).unwrap().contains(without));
    assert_eq!(found.collect::<Vec<_>>(), []);
}

/// Only `wait` may pause, and what makes a server, a disk, a network or a trainer slow.
#[test]
fn tests_wait_with_a_deadline() {
    let spends_time = [
        "wait.rs",
        "trouble.rs",
        "trainer.rs",
        "proxy.rs",
        "verdict.rs",
        "killed.rs",
    ];
    let folders = ["tests/src", "tests/suite"];
    let files = folders.iter().flat_map(|folder| sources(&root().join(folder)));
    for (_, path) in files.filter(|(_, path)| !spends_time.iter().any(|name| path.ends_with(name))) {
        let code = code(&path);
        for name in ["sleep", "yield_now", "wait_while"] {
            let called = code.contains(&format!("{name}("));
            assert!(
                !called,
                "{}: wait with `equibatch_tests::wait`, not with {name}",
                path.display()
            );
        }
    }
}

#[test]
fn the_checker_sees_what_it_should() {
    let code = "use crate::{dataset::{Dataset, Split}, random};\nfn f() { crate::tensor::write() }\nuse other_crate::x;";
    assert_eq!(
        modules_named(code),
        ["dataset", "random", "tensor"].map(str::to_owned).into()
    );
    assert!(names_word("use ort::Session;", "ort") && !names_word("use import::x; short", "ort"));
    assert_eq!(
        inexact_calls("x.powf(2.0) + f64::ln(y) + z.ln_1p()"),
        ["ln", "ln_1p", "powf"]
    );
    assert!(inexact_calls("libm::exp(x) + x.sqrt() + x.explain() + f64::expect(y)").is_empty());
}
