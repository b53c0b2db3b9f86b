//! Refused clients in the server's log and metrics.

use std::fs;

use equibatch_harness::{
    admin::{get, value},
    images::pictures,
    process::{ServerProcess, arguments, client, text},
};

/// The lines of a log in JSON.
fn lines_of(log: &str) -> Vec<serde_json::Value> {
    let lines = log.lines().map(|line| {
        // The parser would accept a duplicate key.
        let errors = line.matches("\"error\":").count();
        assert!(errors <= 1, "{line}");
        serde_json::from_str(line).unwrap()
    });
    lines.collect()
}

#[tokio::test]
async fn the_log_lists_what_is_served_and_refused() {
    let images = pictures();
    let folder = tempfile::tempdir().unwrap();
    let tokens = folder.path().join("tokens");
    fs::write(&tokens, "0123456789abcdef a\nfedcba9876543210 b\n").unwrap();
    let options = "--listen 127.0.0.1:0,127.0.0.1:0 --log info --log-format json --tokens";
    let (server, log) = ServerProcess::with_log(images.root(), &arguments(options, &[text(&tokens)]));
    let address = server.address.clone();
    let addresses: Vec<&str> = address.split(", ").collect();
    assert_eq!(addresses.len(), 2);
    for _ in 0..5 {
        let output = client(&["datasets", "--server", addresses[0]]);
        assert_eq!(output.status.code(), Some(77));
    }
    drop(server);
    let text = log.text();
    let lines = lines_of(&text);
    let said = |message: &str| -> Vec<&serde_json::Value> {
        lines.iter().filter(|line| line["message"] == message).collect()
    };
    let [starting] = said("starting")[..] else {
        panic!("{text}")
    };
    assert_eq!(starting["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(
        (&starting["tls"], &starting["tokens"]),
        (&false.into(), &2.into())
    );
    let listening: Vec<_> = said("listening")
        .into_iter()
        .map(|line| &line["address"])
        .collect();
    assert_eq!(listening, addresses);
    let [dataset] = said("serving dataset")[..] else {
        panic!("{text}")
    };
    assert_eq!(
        (&dataset["dataset"], &dataset["classes"]),
        (&"pictures".into(), &2.into())
    );
    assert_eq!((&dataset["train"], &dataset["valid"]), (&20.into(), &5.into()));
    let refused = said("refused");
    assert!((1..=5).contains(&refused.len()), "{text}");
    assert_eq!(
        (&refused[0]["kind"], &refused[0]["client"]),
        (&"token".into(), &"127.0.0.1".into())
    );
}

#[test]
fn refusals_connections_and_streams_are_counted() {
    let images = pictures();
    let folder = tempfile::tempdir().unwrap();
    let (tokens, own) = (folder.path().join("tokens"), folder.path().join("own"));
    fs::write(&tokens, "0123456789abcdef anna\n").unwrap();
    fs::write(&own, "0123456789abcdef").unwrap();
    fs::write(images.root().join("birds/none.jpg"), b"").unwrap();
    let free = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let options = ["--tokens", text(&tokens), "--admin", &free.to_string()];
    let server = ServerProcess::start(images.root(), &options);
    let asked = ["datasets", "--server", &server.address];
    assert_eq!(client(&asked).status.code(), Some(77));
    assert_eq!(client(&asked).status.code(), Some(77));
    let shown = [&asked[..], &["--token-file", text(&own)]].concat();
    assert_eq!(client(&shown).status.code(), Some(0));
    let (_, metrics) = get(free, "/metrics");
    let of = |name: &str| value(&metrics, name);
    assert_eq!(of("equibatch_refusals_total{reason=\"token\"}"), 2.0);
    assert_eq!(of("equibatch_refusals_total{reason=\"request\"}"), 0.0);
    assert_eq!(of("equibatch_connections_opened_total"), 3.0);
    assert_eq!(of("equibatch_quarantined_files{dataset=\"pictures\"}"), 1.0);
    assert!(!metrics.contains("equibatch_client_streams{"), "{metrics}");
}
