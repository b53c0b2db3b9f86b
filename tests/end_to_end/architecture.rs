//! Rules of ARCHITECTURE.md that the compiler does not check.

use equibatch_harness::checkout;
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

fn root() -> PathBuf {
    checkout::path("")
}

/// Every source file below `folder` except `tests.rs`.
fn sources(folder: &Path) -> Vec<PathBuf> {
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
                found.push(path);
            }
        }
    }
    assert!(!found.is_empty(), "no sources in {}", folder.display());
    found
}

/// The code of a file, without comments and test modules.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    let text = text.split("#[cfg(test)]").next().unwrap_or_default();
    text.lines()
        .map(|line| line.split("//").next().unwrap_or_default())
        .collect::<Vec<_>>()
        .join("\n")
}

/// The packages that `package` depends on, by `cargo tree`.
fn dependencies(package: &str) -> BTreeSet<String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let edges = if package.ends_with("-tests") {
        "normal,dev"
    } else {
        "normal"
    };
    let output = Command::new(cargo)
        .args([
            "tree",
            "--locked",
            "--prefix",
            "none",
            "--edges",
            edges,
            "--package",
            package,
        ])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let lines = String::from_utf8(output.stdout).unwrap();
    let names = lines.lines().filter_map(|line| line.split(' ').next());
    names.map(str::to_owned).collect()
}

#[test]
fn packages_have_no_forbidden_dependencies() {
    let rules = [
        (
            "equibatch-engine",
            "tokio tonic prost clap hyper tracing-subscriber equibatch-proto",
        ),
        (
            "equibatch-training",
            "tokio tonic clap image equibatch-proto equibatch-engine",
        ),
        ("equibatch-stream", "clap equibatch-server ort axum"),
        ("equibatch-service", "clap equibatch-tools equibatch-stream"),
        ("equibatch-client", "equibatch-server equibatch-service axum"),
        ("equibatch-python", "clap equibatch-server equibatch-client ort"),
        (
            "equibatch-server-tests",
            "equibatch-client equibatch-training ort",
        ),
        ("equibatch-client-tests", "equibatch-server"),
    ];
    for (package, apart) in rules {
        let found = dependencies(package);
        assert!(found.contains(package), "{found:?}");
        for name in apart.split(' ') {
            assert!(!found.contains(name), "{package} depends on {name}");
        }
    }
}

/// Functions of the standard library whose last bit depends on the system, the processor or the compiler's release. The square root is
/// exact everywhere.
const INEXACT: &[&str] = &[
    "acos", "acosh", "asin", "asinh", "atan", "atan2", "atanh", "cbrt", "cos", "cosh", "exp", "exp2",
    "exp_m1", "hypot", "ln", "ln_1p", "ln_gamma", "gamma", "log", "log10", "log2", "powf", "powi", "sin",
    "sin_cos", "sinh", "tan", "tanh",
];

/// The inexact functions that `code` calls, as methods or by path.
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
fn the_server_calls_libm_for_inexact_functions() {
    let folders = [
        "crates/engine/src",
        "crates/tools/src",
        "crates/service/src",
        "server/src",
    ];
    let sources = folders.iter().flat_map(|folder| sources(&root().join(folder)));
    let calls = sources.flat_map(|path| {
        let calls = inexact_calls(&code(&path)).into_iter();
        let named = calls.map(|name| format!("{}: {name}", path.display()));
        named.collect::<Vec<_>>()
    });
    assert_eq!(calls.collect::<Vec<_>>(), Vec::<String>::new());
}

#[test]
fn every_safety_comment_has_an_argument_of_its_own() {
    let without = concat!("SAFETY: the ", "caller's");
    let folders = ["crates", "server/src", "client/src", "tests"];
    let files = folders.iter().flat_map(|folder| sources(&root().join(folder)));
    let found = files.filter(|path| fs::read_to_string(path).unwrap().contains(without));
    assert_eq!(found.collect::<Vec<_>>(), Vec::<PathBuf>::new());
}

/// Only `wait` may sleep, and code that makes a server, a disk, a network or a trainer slow.
#[test]
fn tests_wait_with_a_deadline() {
    let spends_time = [
        "wait.rs",
        "hostile/mod.rs",
        "soak/mod.rs",
        "failures.rs",
        "trainer.rs",
        "proxy.rs",
        "bottleneck.rs",
        "killed.rs",
        "verify_killed.rs",
    ];
    let folders = ["tests"];
    let files = folders.iter().flat_map(|folder| sources(&root().join(folder)));
    for path in files.filter(|path| !spends_time.iter().any(|name| path.ends_with(name))) {
        let code = code(&path);
        for name in ["sleep", "yield_now", "wait_while"] {
            let called = code.contains(&format!("{name}("));
            assert!(
                !called,
                "{}: wait with `equibatch_harness::wait`, not with {name}",
                path.display()
            );
        }
    }
}

#[test]
fn calls_of_inexact_functions_are_found() {
    assert_eq!(
        inexact_calls("x.powf(2.0) + f64::ln(y) + z.ln_1p()"),
        ["ln", "ln_1p", "powf"]
    );
    assert!(inexact_calls("libm::exp(x) + x.sqrt() + x.explain() + f64::expect(y)").is_empty());
}
