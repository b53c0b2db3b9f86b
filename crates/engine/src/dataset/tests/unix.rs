use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use super::*;

#[test]
fn links_inside_the_root_are_followed() {
    let root = folder(&["a/1.png", "b/1.png", ".store/x/7.png"]);
    symlink("../a/1.png", root.path().join("b/2.png")).unwrap();
    symlink("../.store/x", root.path().join("b/more")).unwrap();
    let dataset = scanned(&root);
    let paths: Vec<&str> = dataset.samples.iter().map(|sample| &*sample.path).collect();
    assert_eq!(paths, ["a/1.png", "b/1.png", "b/2.png", "b/more/7.png"]);
    assert_eq!(
        dataset
            .warnings
            .iter()
            .filter(|w| matches!(w, Warning::Link { .. }))
            .count(),
        0
    );
}

#[test]
fn links_out_of_the_root_broken_links_and_cycles_are_reported() {
    let outside = folder(&["c/1.png"]);
    let root = folder(&["a/1.png", "a/deep/2.png", "b/1.png"]);
    let link = |target: &Path, name: &str| symlink(target, root.path().join(name)).unwrap();
    link(&outside.path().join("c"), "c");
    link(&outside.path().join("c/1.png"), "a/out.png");
    link(Path::new("missing.png"), "a/gone.png");
    link(Path::new("self"), "a/self");
    link(Path::new(".."), "a/deep/up");
    link(Path::new("../.."), "a/deep/root");
    link(Path::new("deep"), "a/twice");
    let dataset = scanned(&root);
    assert_eq!(dataset.samples.len(), 3);
    assert_eq!(
        quarantined(&dataset),
        [
            ("a/gone.png", "the link leads nowhere"),
            ("a/out.png", "the link leaves the root")
        ],
    );
    let link = |path: &str, fault| Warning::Link {
        path: path.into(),
        fault,
    };
    let expected = [
        link("a/deep/root", LinkFault::AlreadyRead),
        link("a/deep/up", LinkFault::AlreadyRead),
        link("a/self", LinkFault::LeadsNowhere),
        link("a/twice", LinkFault::AlreadyRead),
        link("c", LinkFault::LeavesRoot),
    ];
    let links = dataset
        .warnings
        .into_iter()
        .filter(|w| matches!(w, Warning::Link { .. }));
    assert_eq!(links.collect::<Vec<_>>(), expected);
}

#[test]
fn names_that_are_not_utf8_are_quarantined_readably() {
    let root = folder(&["a/1.png", "b/1.png"]);
    fs::write(
        root.path().join("a").join(OsStr::from_bytes(b"caf\xE9.png")),
        image(4, 4),
    )
    .unwrap();
    fs::create_dir(root.path().join(OsStr::from_bytes(b"\xFFclass"))).unwrap();
    let dataset = scanned(&root);
    assert_eq!(dataset.samples.len(), 2);
    let reason = "the name is not UTF-8";
    assert_eq!(
        quarantined(&dataset),
        [("a/caf\u{FFFD}.png", reason), ("\u{FFFD}class", reason)]
    );
}

#[test]
fn an_unreadable_folder_is_an_error_or_for_a_lenient_scan_a_warning() {
    let root = folder(&["a/1.png", "b/1.png", "b/locked/2.png"]);
    let locked = root.path().join("b/locked");
    fs::set_permissions(&locked, fs::Permissions::from_mode(0o000)).unwrap();
    // The superuser can read it.
    let is_superuser = fs::read_dir(&locked).is_ok();
    let scanned = Dataset::scan("x", root.path(), &ScanOptions::default());
    let dataset = scan_lenient("x", root.path(), &ScanOptions::default()).unwrap();
    fs::set_permissions(&locked, fs::Permissions::from_mode(0o755)).unwrap();
    let is_refused = matches!(&scanned, Err(Error::UnreadableFolder { folder, .. }) if folder == "b/locked");
    assert_eq!(is_refused, !is_superuser);
    assert_eq!(dataset.samples.len(), if is_superuser { 3 } else { 2 });
    let warned = dataset
        .warnings
        .iter()
        .any(|w| matches!(w, Warning::Unreadable { folder, .. } if folder == "b/locked"));
    assert_eq!(warned, !is_superuser);
}

#[test]
fn a_named_pipe_is_quarantined_and_not_opened() {
    let root = folder(&["a/1.png", "b/1.png"]);
    let made = std::process::Command::new("mkfifo")
        .arg(root.path().join("a/pipe.png"))
        .status()
        .unwrap();
    assert!(made.success());
    assert_eq!(
        quarantined(&scanned(&root)),
        [("a/pipe.png", "not a regular file")]
    );
}
