//! Configuration files, health, metrics and the log.

use std::{collections::BTreeSet, fs, time::Instant};

use equibatch_harness::{
    admin::{get, value},
    checkout,
    images::pictures,
    process::{ServerProcess, arguments, assert_one_line, server, text},
    receive::{receive, small},
};
use equibatch_server::admin::Admin;
use equibatch_server_tests::memory::{MemoryServer, config, engine, no_stream_is_open};

#[test]
fn a_configuration_is_checked_before_it_is_used() {
    let images = pictures();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("server.toml");
    let check = |content: &str| {
        fs::write(&path, content).unwrap();
        server(&["check", text(&path)])
    };
    let data = format!("[data]\npictures = \"{}\"\n", images.root().display());
    assert_one_line(&check(&data), 0, &["serves pictures"]);
    assert_one_line(
        &check(&format!("\ncolour = 1\n{data}")),
        78,
        &["server.toml, line 2: unknown key `colour`"],
    );
    assert_one_line(
        &check(&format!("threads = \"many\"\n{data}")),
        78,
        &["line 1", "--threads", "many"],
    );
    // Errors that only the values show.
    assert_one_line(
        &check(&format!("\n\nmax-broken = 7\n{data}")),
        78,
        &["line 3", "--max-broken", "from 0 to 1"],
    );
    assert_one_line(
        &check(&format!("tokens = \"/nowhere\"\n{data}")),
        66,
        &["/nowhere"],
    );
    assert_one_line(
        &check("[data]\npictures = \"/nowhere\""),
        66,
        &["pictures", "/nowhere"],
    );
}

#[test]
fn the_printed_configuration_is_a_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("server.toml");
    fs::write(&path, "threads = 3\ncache-bytes = \"1GiB\"\n").unwrap();
    let printed = server(&arguments(
        "serve --print-config --data a=/a --threads 5",
        &["--config", text(&path)],
    ));
    assert_eq!(printed.status.code(), Some(0));
    let printed = String::from_utf8(printed.stdout).unwrap();
    for line in [
        "data = [\"a=/a\"]",
        "threads = 5",
        "cache-bytes = \"1GiB\"",
        "max-broken = 0.1",
    ] {
        assert!(
            printed.lines().any(|found| found == line),
            "{line} is not in:\n{printed}"
        );
    }
    fs::write(&path, &printed).unwrap();
    let again = server(&["serve", "--config", text(&path), "--print-config"]);
    assert_eq!(String::from_utf8(again.stdout).unwrap(), printed);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_port_reports_liveness_readiness_and_metrics() {
    let images = pictures();
    let started = Instant::now();
    let threads = 2;
    let server = MemoryServer::start(engine(images.root(), config(threads, 1 << 26)));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let admin = Admin::default();
    tokio::spawn(admin.clone().serve(listener));
    let get = async |path: &'static str| {
        let answer = tokio::task::spawn_blocking(move || get(address, path));
        answer.await.unwrap()
    };

    assert_eq!(get("/healthz").await.0, 200);
    assert_eq!(get("/readyz").await, (503, "scanning datasets\n".to_owned()));
    assert_eq!(get("/metrics").await.0, 200);
    assert_eq!(get("/secrets").await.0, 404);
    admin.ready(server.engine.clone());
    assert_eq!(get("/readyz").await, (200, "ready\n".to_owned()));

    // Six batches of five images, each image decoded once.
    let received = receive(&mut server.client().await, small("valid", 3))
        .await
        .unwrap();
    let shown: usize = received.batches.iter().map(|batch| batch.labels.len()).sum();
    no_stream_is_open(&server.engine).await;
    let (_, metrics) = get("/metrics").await;
    let of_pictures = |name: &str| value(&metrics, &format!("{name}{{dataset=\"pictures\"}}"));
    assert_eq!(of_pictures("equibatch_images_total"), shown as f64);
    assert_eq!(
        of_pictures("equibatch_batches_total"),
        received.batches.len() as f64
    );
    assert_eq!(
        of_pictures("equibatch_batch_wait_seconds_count"),
        received.batches.len() as f64
    );
    assert_eq!(of_pictures("equibatch_decoded_images_total"), shown as f64 / 3.0);
    assert_eq!(
        of_pictures("equibatch_cached_images_total"),
        shown as f64 * 2.0 / 3.0
    );
    assert_eq!(of_pictures("equibatch_streams_opened_total"), 1.0);
    assert_eq!(of_pictures("equibatch_streams"), 0.0);
    // No thread can have rendered for longer than the elapsed time.
    let rendering = of_pictures("equibatch_rendering_seconds_total");
    let most = threads as f64 * started.elapsed().as_secs_f64();
    assert!(rendering > 0.0 && rendering <= most, "{rendering} s of {most} s");
    assert_eq!(
        value(&metrics, "equibatch_cache_misses_total"),
        shown as f64 / 3.0
    );
    assert_names_are_documented(&metrics);

    admin.stopping();
    assert_eq!(get("/readyz").await, (503, "stopping\n".to_owned()));
    assert_eq!(get("/healthz").await.0, 200);
}

/// Checks that the metrics are those of the table in docs/operate.md.
fn assert_names_are_documented(metrics: &str) {
    let page = checkout::path("docs/operate.md");
    let page = fs::read_to_string(page).unwrap();
    let rows = page.lines().filter(|line| line.starts_with("| `equibatch_"));
    let documented: BTreeSet<&str> = rows
        .flat_map(|row| row.split('`'))
        .filter(|word| word.starts_with("equibatch_"))
        .map(|name| name.trim_end_matches("_total"))
        .collect();
    let types = metrics.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let shown: BTreeSet<&str> = types.filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(shown, documented);
}

#[tokio::test]
async fn the_log_has_statistics_and_the_bottleneck_of_each_epoch() {
    let images = pictures();
    let options = ["--listen", ":0", "--log", "info", "--log-format", "json"];
    let (mut server, log) = ServerProcess::with_log(images.root(), &options);
    let received = receive(&mut server.client().await, small("train", 2))
        .await
        .unwrap();
    server.terminate();
    // On another thread: this one closes the client's connection.
    let stopped = tokio::task::spawn_blocking(move || server.wait());
    stopped.await.unwrap();
    let epochs = log.lines("epoch served");
    assert_eq!(epochs.len(), 2, "{}", log.text());
    let images: usize = received.batches.iter().map(|batch| batch.labels.len()).sum();
    for (index, epoch) in epochs.iter().enumerate() {
        assert_eq!(epoch["epoch"], index);
        assert_eq!(epoch["images"], images / 2);
        let sources = epoch["hits"].as_u64().unwrap() + epoch["decodes"].as_u64().unwrap();
        assert!(sources > 0, "{epoch}");
        assert!(
            epoch["bottleneck"].is_string() && epoch["bottleneck_percent"].as_u64() <= Some(100),
            "{epoch}"
        );
        // The innermost span is the last of the list, and only there.
        let spans = epoch["spans"].as_array().unwrap();
        assert_eq!(spans.last().unwrap()["client"], "127.0.0.1", "{epoch}");
        assert!(epoch.get("span").is_none(), "{epoch}");
    }
}

#[tokio::test]
async fn open_streams_are_counted_by_client() {
    let images = pictures();
    let free = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let server = ServerProcess::start(images.root(), &["--admin", &free.to_string()]);
    let mut client = server.client().await;
    let stream = client.stream_batches(small("train", 1_000_000)).await.unwrap();
    let answer = tokio::task::spawn_blocking(move || get(free, "/metrics"));
    let (_, metrics) = answer.await.unwrap();
    assert_eq!(
        value(&metrics, "equibatch_client_streams{client=\"127.0.0.1\"}"),
        1.0
    );
    drop(stream);
}

#[test]
fn the_health_command_queries_a_running_server() {
    let images = pictures();
    let mut running = ServerProcess::start(images.root(), &[]);
    assert_one_line(&server(&["health", &running.address]), 0, &["serving"]);
    running.kill();
    running.wait();
    assert_one_line(
        &server(&["health", &running.address]),
        69,
        &[&running.address, "cannot reach"],
    );
    assert_one_line(&server(&["health", "no address"]), 64, &["HOST:PORT"]);
}
