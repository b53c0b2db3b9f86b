//! TLS, certificates of clients and tokens, with the client program.

use std::fs;

use equibatch_harness::{
    certificates::Authority,
    files::written,
    images::pictures,
    process::{ServerProcess, arguments, assert_one_line, client, errors, server, text},
};

const TOKEN: &str = "correct-horse-battery-staple";
const OTHER: &str = "another-token-of-some-length";

/// `client datasets` succeeds.
fn assert_let_in(arguments: &[&str]) {
    let output = client(&[&["datasets"], arguments].concat());
    assert!(output.status.success(), "{}", errors(&output));
    assert!(String::from_utf8_lossy(&output.stdout).contains("pictures"));
}

/// `client datasets` exits with `code` and one line with all `words`.
fn assert_kept_out(arguments: &[&str], code: i32, words: &[&str]) {
    assert_one_line(&client(&[&["datasets"], arguments].concat()), code, words);
}

#[test]
fn tls_requires_a_trusted_root() {
    let images = pictures();
    let authority = Authority::new();
    let (certificate, key) = authority.sign("server");
    let server = ServerProcess::start(images.root(), &["--tls-cert", &certificate, "--tls-key", &key]);
    let address = format!("https://{}", server.address);
    assert_let_in(&["--server", &address, "--tls-ca", &authority.root()]);
    let stranger = Authority::new();
    assert_kept_out(
        &["--server", &address, "--tls-ca", &stranger.root()],
        77,
        &["cannot trust", "UnknownIssuer"],
    );
    assert_kept_out(&["--server", &address], 77, &["cannot trust", "--tls-ca FILE"]);
    assert_kept_out(&["--server", &server.address], 69, &[&server.address, "https://"]);
    for (arguments, words) in [
        (&["health", &server.address][..], &["HTTP/2", "https://"][..]),
        (&["health", &address], &["UnknownIssuer", "--tls-ca FILE"]),
    ] {
        let output = self::server(arguments);
        let sentence = errors(&output);
        assert_eq!(
            (output.status.code(), sentence.lines().count()),
            (Some(69), 1),
            "{sentence}"
        );
        assert!(words.iter().all(|word| sentence.contains(word)), "{sentence}");
        assert!(!sentence.contains("source:"), "{sentence}");
    }
}

#[test]
fn https_to_a_server_without_tls_is_reported() {
    let images = pictures();
    let server = ServerProcess::start(images.root(), &[]);
    let address = format!("https://{}", server.address);
    assert_kept_out(&["--server", &address], 69, &["does not speak TLS"]);
}

#[test]
fn mutual_tls_requires_a_client_certificate_of_the_root() {
    let images = pictures();
    let (authority, stranger) = (Authority::new(), Authority::new());
    let (certificate, key) = authority.sign("server");
    let root = authority.root();
    let server = ServerProcess::start(
        images.root(),
        &[
            "--tls-cert",
            &certificate,
            "--tls-key",
            &key,
            "--tls-client-ca",
            &root,
        ],
    );
    let address = format!("https://{}", server.address);
    let without = ["--server", &address, "--tls-ca", &root];
    assert_kept_out(
        &without,
        77,
        &["CertificateRequired", "--tls-cert FILE --tls-key FILE"],
    );
    let with = |(certificate, key): &(String, String)| {
        [&without[..], &["--tls-cert", certificate, "--tls-key", key]]
            .concat()
            .into_iter()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let own = with(&authority.sign("client"));
    assert_let_in(&own.iter().map(String::as_str).collect::<Vec<_>>());
    let strange = with(&stranger.sign("client"));
    let strange: Vec<&str> = strange.iter().map(String::as_str).collect();
    assert_kept_out(&strange, 77, &["denies access"]);
}

#[test]
fn only_a_known_token_is_accepted() {
    let images = pictures();
    let tokens = written(&format!("# ours\n{TOKEN} trainer\n"));
    let (right, wrong) = (written(&format!("{TOKEN}\n")), written(OTHER));
    let server = ServerProcess::start(images.root(), &["--tokens", text(&tokens)]);
    let address = server.address.as_str();
    assert_let_in(&["--server", address, "--token-file", text(&right)]);
    assert_kept_out(
        &["--server", address],
        77,
        &["denies access", "--token-file FILE", "EQUIBATCH_TOKEN"],
    );
    let file = ["--server", address, "--token-file", text(&wrong)];
    assert_kept_out(&file, 77, &["denies access", "unknown token"]);
    let file = ["--server", address, "--token-file", "/nowhere/missing"];
    assert_kept_out(&file, 64, &["--token-file", "missing"]);
    let far = ["--server", "example.org:50051", "--token-file", text(&right)];
    assert_kept_out(&far, 64, &["only sent over TLS", "https://"]);
}

#[tokio::test]
async fn a_renewed_certificate_is_used_without_a_restart() {
    let images = pictures();
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = (folder.path().join("server.pem"), folder.path().join("server.key"));
    let (before, after) = (Authority::new(), Authority::new());
    let install = |authority: &Authority| {
        let (signed, secret) = authority.sign("server");
        // The key first: for a moment, it does not match the certificate.
        fs::copy(secret, &key).unwrap();
        fs::copy(signed, &certificate).unwrap();
    };
    install(&before);
    let options = arguments(
        "--listen :0 --log info",
        &["--tls-cert", text(&certificate), "--tls-key", text(&key)],
    );
    let (server, log) = ServerProcess::with_log(images.root(), &options);
    let address = format!("https://{}", server.address);
    assert_let_in(&["--server", &address, "--tls-ca", &before.root()]);
    install(&after);
    log.wait_for("certificates reloaded").await;
    assert_let_in(&["--server", &address, "--tls-ca", &after.root()]);
    assert_kept_out(
        &["--server", &address, "--tls-ca", &before.root()],
        77,
        &["cannot trust", "--tls-ca FILE"],
    );
}

#[test]
fn a_token_of_one_stream_is_refused_before_anything_is_trained() {
    let images = pictures();
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let (tokens, own) = (
        written(&format!("{TOKEN} trainer max-streams=1\n")),
        written(TOKEN),
    );
    let server = ServerProcess::start(images.root(), &["--tokens", text(&tokens)]);
    let train = arguments(
        "train --arch resnet18@4 --size 32 --batch-size 8 --epochs 1 --threads 1",
        &[
            "--server",
            &server.address,
            "--token-file",
            text(&own),
            "--out",
            text(&out),
        ],
    );
    let output = client(&train);
    let sentence = errors(&output);
    assert_eq!(output.status.code(), Some(64), "{sentence}");
    assert!(sentence.contains("max-streams"), "{sentence}");
    assert!(!out.exists(), "no run folder is created");
}
