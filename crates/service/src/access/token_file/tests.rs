use equibatch_engine::pipeline::Limits;

use super::*;

fn line_of(token: &str) -> String {
    let digits: String = hash(token.as_bytes())
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("sha256:{digits}")
}

#[test]
fn a_hash_is_that_of_the_standard() {
    // FIPS 180-2, appendix B.1.
    assert_eq!(
        line_of("abc"),
        "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    );
}

#[test]
fn tokens_are_found_by_themselves_and_by_their_hash() {
    let hashed = line_of("correct-horse-battery");
    let text =
        format!("# ours\n\n{hashed} stable\n0123456789abcdef laptop datasets=a,b max-streams=2 # his\n");
    let table = TokenTable::parse(&text).expect("a table");
    assert_eq!(table.len(), 2);
    let name = |token: &str| {
        table
            .find(token.as_bytes())
            .map(|grant| grant.permissions.name.clone())
    };
    assert_eq!(name("correct-horse-battery").as_deref(), Some("stable"));
    assert_eq!(name("0123456789abcdef").as_deref(), Some("laptop"));
    assert_eq!(name("0123456789abcdeF"), None);
    assert_eq!(name(&hashed), None, "a hash is no token");
    let grant = table.find(b"0123456789abcdef").expect("a grant");
    assert!(grant.permissions.allow("a") && grant.permissions.allow("b") && !grant.permissions.allow("c"));
    assert_eq!(grant.permissions.streams, Some(2));
}

#[test]
fn a_clients_limits_only_lower_the_operators() {
    let line = "0123456789abcdef x max-batch-bytes=1KiB max-image-size=9999 max-epochs=3 weight=5";
    let grant = TokenTable::parse(line)
        .expect("a table")
        .find(b"0123456789abcdef")
        .expect("a grant");
    let limits = grant.permissions.within(&Limits::default());
    assert_eq!((limits.batch_bytes, limits.epochs, limits.weight), (1024, 3, 5));
    assert_eq!(limits.image_size, Limits::default().image_size);
    let unweighted = Permissions::default().within(&Limits::default());
    assert_eq!(unweighted.weight, 1, "a higher weight must be granted");
}

#[test]
fn errors_give_the_line_number_and_not_the_line() {
    for (line, reason) in [
        ("hunter2 x", "at least 16 characters"),
        ("0123456789abcdef", "a name must follow"),
        ("0123456789abcdef datasets=a", "a name must follow"),
        ("0123456789abcdef x max-streams=0", "max-streams"),
        ("0123456789abcdef x max-batch-bytes=big", "max-batch-bytes"),
        ("0123456789abcdef x colour=red", "unknown key \"colour\""),
        ("0123456789abcdef x red", "KEY=VALUE"),
        ("sha256:00 x", "64 hexadecimal digits"),
        ("fedcba9876543210 x", "earlier line"),
    ] {
        let text = format!("fedcba9876543210 first\n{line}\n");
        let Err((number, found)) = TokenTable::parse(&text) else {
            panic!("{line} is accepted")
        };
        assert_eq!(number, 2, "{line}");
        assert!(found.contains(reason), "{found}");
        assert!(
            !found.contains("0123456789abcdef") && !found.contains("hunter2"),
            "{found}"
        );
    }
}

#[test]
fn removed_or_changed_tokens_are_revoked() {
    let parse = |text: &str| TokenTable::parse(text).expect("a table");
    let earlier = parse("aaaaaaaaaaaaaaaa a\nbbbbbbbbbbbbbbbb b\ncccccccccccccccc c");
    let mut later = parse("aaaaaaaaaaaaaaaa a\nbbbbbbbbbbbbbbbb b max-streams=1");
    later.replace(&earlier);
    let is_revoked = |token: &[u8]| earlier.find(token).expect("a grant").revoked.is_cancelled();
    assert!(!is_revoked(b"aaaaaaaaaaaaaaaa"), "unchanged");
    assert!(is_revoked(b"bbbbbbbbbbbbbbbb"), "other permissions");
    assert!(is_revoked(b"cccccccccccccccc"), "removed");
    let kept = later.find(b"aaaaaaaaaaaaaaaa").expect("a grant");
    assert!(Arc::ptr_eq(
        &kept,
        &earlier.find(b"aaaaaaaaaaaaaaaa").expect("a grant")
    ));
}
