//! Who may come in: TLS, certificates of clients, tokens.

use std::{
    fs::{self, File},
    path::Path,
    process::Output,
};

use equibatch_proto::v1::{
    DescribeDatasetRequest, ListDatasetsRequest, batch_loader_client::BatchLoaderClient,
};
use equibatch_tests::{
    certificates::Authority,
    images::ImageFolder,
    process::{ServerProcess, client, server},
    receive::{failure, receive, small},
    wait::eventually_async,
};
use tonic::{
    Code, Request, Status,
    metadata::MetadataValue,
    service::interceptor::InterceptedService,
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint},
};

fn pictures() -> ImageFolder {
    ImageFolder::new(&[("birds", 5), ("flowers", 20)])
}

fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// `client datasets` finds what it seeks.
fn assert_let_in(arguments: &[&str]) {
    let output = client(&[&["datasets"], arguments].concat());
    assert!(output.status.success(), "{}", errors(&output));
    assert!(String::from_utf8_lossy(&output.stdout).contains("pictures"));
}

/// `client datasets` ends with `code` and one sentence with all `words`.
fn assert_kept_out(arguments: &[&str], code: i32, words: &[&str]) {
    let output = client(&[&["datasets"], arguments].concat());
    let sentence = errors(&output);
    assert_eq!(output.status.code(), Some(code), "{sentence}");
    assert_eq!(sentence.lines().count(), 1, "{sentence}");
    for word in words {
        assert!(sentence.contains(word), "{word:?} is not in: {sentence}");
    }
}

#[test]
fn tls_lets_in_whoever_trusts_the_server() {
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
fn tls_to_a_server_without_it_is_said() {
    let images = pictures();
    let server = ServerProcess::start(images.root(), &[]);
    let address = format!("https://{}", server.address);
    assert_kept_out(&["--server", &address], 69, &["does not speak TLS"]);
}

#[tokio::test]
async fn a_stream_over_tls_has_the_same_bytes() {
    let images = pictures();
    let authority = Authority::new();
    let (certificate, key) = authority.sign("server");
    let plain = ServerProcess::start(images.root(), &[]);
    let secure = ServerProcess::start(images.root(), &["--tls-cert", &certificate, "--tls-key", &key]);
    let root = Certificate::from_pem(fs::read(authority.root()).unwrap());
    let endpoint = Endpoint::from_shared(format!("https://{}", secure.address)).unwrap();
    let endpoint = endpoint
        .tls_config(ClientTlsConfig::new().ca_certificate(root))
        .unwrap();
    let mut over_tls =
        BatchLoaderClient::new(endpoint.connect().await.unwrap()).max_decoding_message_size(usize::MAX);
    // Far more than a TLS record holds.
    let mut request = small("train", 2);
    (request.batch_size, request.image_size) = (Some(16), Some(64));
    let expected = receive(&mut plain.client().await, request.clone()).await.unwrap();
    let found = receive(&mut over_tls, request).await.unwrap();
    assert!(found.digests() == expected.digests() && !found.batches.is_empty());
}

#[test]
fn mutual_tls_lets_in_only_clients_with_a_certificate_of_the_root() {
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

const TOKEN: &str = "correct-horse-battery-staple";
const OTHER: &str = "another-token-of-some-length";

#[test]
fn a_token_opens_the_door_and_nothing_else_does() {
    let images = pictures();
    let folder = tempfile::tempdir().unwrap();
    let (tokens, right, wrong) = (
        folder.path().join("tokens"),
        folder.path().join("right"),
        folder.path().join("wrong"),
    );
    fs::write(&tokens, format!("# ours\n{TOKEN} trainer\n")).unwrap();
    fs::write(&right, format!("{TOKEN}\n")).unwrap();
    fs::write(&wrong, OTHER).unwrap();
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
    let missing = folder.path().join("missing");
    let file = ["--server", address, "--token-file", text(&missing)];
    assert_kept_out(&file, 64, &["--token-file", "missing"]);
    let far = ["--server", "example.org:50051", "--token-file", text(&right)];
    assert_kept_out(&far, 64, &["only sent over TLS", "https://"]);
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

type Client = BatchLoaderClient<InterceptedService<Channel, Shown>>;

/// Shows a token, as any client in any language would.
#[derive(Clone)]
struct Shown(&'static str);

impl tonic::service::Interceptor for Shown {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let value = MetadataValue::try_from(format!("Bearer {}", self.0)).unwrap();
        request.metadata_mut().insert("authorization", value);
        Ok(request)
    }
}

async fn with_token(server: &ServerProcess, token: &'static str) -> Client {
    let endpoint = Endpoint::from_shared(format!("http://{}", server.address)).unwrap();
    BatchLoaderClient::with_interceptor(endpoint.connect().await.unwrap(), Shown(token))
        .max_decoding_message_size(usize::MAX)
}

#[tokio::test]
async fn a_token_bounds_what_its_owner_sees_and_takes() {
    let (images, others) = (pictures(), ImageFolder::new(&[("cats", 5), ("dogs", 5)]));
    let folder = tempfile::tempdir().unwrap();
    let tokens = folder.path().join("tokens");
    let line = format!(
        "{TOKEN} all\n{OTHER} some datasets=pets max-streams=1 max-epochs=1000 max-batch-bytes=1MiB weight=5\n"
    );
    fs::write(&tokens, line).unwrap();
    let pets = format!("pets={}", others.root().display());
    let server = ServerProcess::start(images.root(), &["--data", &pets, "--tokens", text(&tokens)]);
    let (mut all, mut some) = (with_token(&server, TOKEN).await, with_token(&server, OTHER).await);

    let names = async |client: &mut Client| {
        let list = client
            .list_datasets(ListDatasetsRequest {})
            .await
            .unwrap()
            .into_inner();
        list.datasets
            .into_iter()
            .map(|dataset| dataset.name)
            .collect::<Vec<_>>()
    };
    assert_eq!(names(&mut all).await, ["pictures", "pets"]);
    assert_eq!(names(&mut some).await, ["pets"]);

    let request = DescribeDatasetRequest {
        dataset: "pictures".to_owned(),
        ..DescribeDatasetRequest::default()
    };
    assert!(all.describe_dataset(request.clone()).await.is_ok());
    let mut of_pictures = small("train", 1);
    of_pictures.dataset = "pictures".to_owned();
    for status in [
        some.describe_dataset(request).await.unwrap_err(),
        some.stream_batches(of_pictures).await.unwrap_err(),
    ] {
        assert_eq!(status.code(), Code::NotFound, "{status}");
        assert!(
            status.message().ends_with("available are pets"),
            "the other is not named: {status}"
        );
    }

    // The name is not needed where only one dataset is seen.
    let status = some.stream_batches(small("train", 1001)).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(status.message().contains("epochs"), "{status}");
    let mut heavy = small("train", 1);
    heavy.weight = Some(6);
    let status = some.stream_batches(heavy).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(status.message().contains("weight is 6"), "{status}");
    let mut large = small("train", 1);
    (large.batch_size, large.image_size) = (Some(8), Some(128));
    let status = some.stream_batches(large).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted, "{status}");
    assert!(status.message().contains("at most 1.00 MiB"), "{status}");

    // Far more batches than fit into buffers: the stream stays open.
    let opened = some.stream_batches(small("train", 1000)).await.unwrap();
    let status = some.stream_batches(small("train", 1000)).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert!(status.message().contains("some has 1 streams open"), "{status}");
    drop(opened);
}

#[tokio::test]
async fn a_changed_file_lets_in_and_throws_out_and_no_token_is_logged() {
    let images = pictures();
    let folder = tempfile::tempdir().unwrap();
    let (tokens, log) = (folder.path().join("tokens"), folder.path().join("log"));
    fs::write(&tokens, format!("{TOKEN} first\n")).unwrap();
    let output = File::create(&log).unwrap();
    let options = ["--listen", ":0", "--log", "trace", "--tokens", text(&tokens)];
    let server = ServerProcess::logging(output, images.root(), &options);
    let mut first = with_token(&server, TOKEN).await;
    let mut second = with_token(&server, OTHER).await;
    let mut stream = first
        .stream_batches(small("train", 1_000_000))
        .await
        .unwrap()
        .into_inner();
    assert!(stream.message().await.unwrap().is_some());
    assert_eq!(
        second
            .list_datasets(ListDatasetsRequest {})
            .await
            .unwrap_err()
            .code(),
        Code::Unauthenticated
    );

    // A file without meaning changes nothing.
    fs::write(&tokens, "nonsense\n").unwrap();
    until(&log, "cannot reload the tokens").await;
    assert!(first.list_datasets(ListDatasetsRequest {}).await.is_ok());

    fs::write(&tokens, format!("{OTHER} second\n")).unwrap();
    let status = failure(&mut stream, drop).await;
    assert_eq!(status.code(), Code::Unauthenticated, "{status}");
    assert!(second.list_datasets(ListDatasetsRequest {}).await.is_ok());
    assert_eq!(
        first
            .list_datasets(ListDatasetsRequest {})
            .await
            .unwrap_err()
            .code(),
        Code::Unauthenticated
    );
    drop(server);
    let log = fs::read_to_string(&log).unwrap();
    assert!(log.contains("tokens reloaded"), "{log}");
    assert!(
        !log.contains(TOKEN) && !log.contains(OTHER),
        "a token is in the log"
    );
}

/// Waits until `words` are in the file.
async fn until(path: &Path, words: &str) {
    let is_there = async || fs::read_to_string(path).unwrap().contains(words).then_some(());
    eventually_async(words, is_there).await;
}

#[tokio::test]
async fn a_renewed_certificate_is_used_without_a_restart() {
    let images = pictures();
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = (folder.path().join("server.pem"), folder.path().join("server.key"));
    let (before, after) = (Authority::new(), Authority::new());
    let install = |authority: &Authority| {
        let (signed, secret) = authority.sign("server");
        // The key first: for a moment, the two do not belong together.
        fs::copy(secret, &key).unwrap();
        fs::copy(signed, &certificate).unwrap();
    };
    install(&before);
    let log = folder.path().join("log");
    let options = [
        "--listen",
        ":0",
        "--log",
        "info",
        "--tls-cert",
        text(&certificate),
        "--tls-key",
        text(&key),
    ];
    let server = ServerProcess::logging(File::create(&log).unwrap(), images.root(), &options);
    let address = format!("https://{}", server.address);
    assert_let_in(&["--server", &address, "--tls-ca", &before.root()]);
    install(&after);
    until(&log, "certificates reloaded").await;
    assert_let_in(&["--server", &address, "--tls-ca", &after.root()]);
    assert_kept_out(
        &["--server", &address, "--tls-ca", &before.root()],
        77,
        &["cannot trust", "--tls-ca FILE"],
    );
}

#[tokio::test]
async fn a_hangup_reads_files_again_and_names_what_needs_a_restart() {
    let images = pictures();
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let (tokens, others, config, log) = (path("tokens"), path("others"), path("server.toml"), path("log"));
    fs::write(&tokens, format!("{TOKEN} first\n")).unwrap();
    fs::write(&others, format!("{TOKEN} first\n{OTHER} second\n")).unwrap();
    let configure = |tokens: &Path, more: &str| {
        fs::write(&config, format!("tokens = {:?}\n{more}", text(tokens))).unwrap();
    };
    configure(&tokens, "");
    let options = ["--listen", ":0", "--log", "info", "--config", text(&config)];
    let mut server = ServerProcess::logging(File::create(&log).unwrap(), images.root(), &options);
    let mut first = with_token(&server, TOKEN).await;
    let mut stream = first
        .stream_batches(small("train", 1_000_000))
        .await
        .unwrap()
        .into_inner();
    assert!(stream.message().await.unwrap().is_some());

    configure(&others, "max-streams = 7\n");
    server.hang_up();
    until(&log, "tokens reloaded").await;
    until(&log, "these options need a restart").await;
    assert!(fs::read_to_string(&log).unwrap().contains("max-streams"));
    let mut second = with_token(&server, OTHER).await;
    assert!(second.list_datasets(ListDatasetsRequest {}).await.is_ok());

    // Nonsense changes nothing.
    configure(&others, "colour = 1\n");
    server.hang_up();
    until(&log, "the previous one stays in force").await;
    assert!(second.list_datasets(ListDatasetsRequest {}).await.is_ok());
    assert!(stream.message().await.unwrap().is_some(), "no stream ends by it");
    drop((stream, first, second));
    server.terminate();
    let status = tokio::task::spawn_blocking(move || server.wait()).await.unwrap();
    assert_eq!(status.code(), Some(0));
}

#[test]
fn a_token_of_one_stream_is_refused_before_anything_is_trained() {
    let images = pictures();
    let folder = tempfile::tempdir().unwrap();
    let (tokens, own, out) = (
        folder.path().join("tokens"),
        folder.path().join("own"),
        folder.path().join("run"),
    );
    fs::write(&tokens, format!("{TOKEN} trainer max-streams=1\n")).unwrap();
    fs::write(&own, TOKEN).unwrap();
    let server = ServerProcess::start(images.root(), &["--tokens", text(&tokens)]);
    let output = client(&[
        "train",
        "--server",
        &server.address,
        "--token-file",
        text(&own),
        "--out",
        text(&out),
        "--arch",
        "resnet18@4",
        "--size",
        "32",
        "--batch-size",
        "8",
        "--epochs",
        "1",
        "--threads",
        "1",
    ]);
    let sentence = errors(&output);
    assert_eq!(output.status.code(), Some(64), "{sentence}");
    assert!(sentence.contains("max-streams"), "{sentence}");
    assert!(!out.exists(), "nothing was begun");
}

#[test]
fn files_without_meaning_are_named_before_anything_is_served() {
    let images = pictures();
    let data = text(images.root());
    let folder = tempfile::tempdir().unwrap();
    let bad = folder.path().join("bad");
    fs::write(&bad, "secret-that-is-long-enough name colour=red\n").unwrap();
    let missing = folder.path().join("missing");
    let empty = folder.path().join("empty");
    fs::write(&empty, "# none yet\n").unwrap();
    for (options, code, words) in [
        (&["--tokens", text(&bad)][..], 66, &["bad, line 1", "colour"][..]),
        (&["--tokens", text(&missing)], 66, &["missing"]),
        (
            &["--tokens", text(&empty)],
            66,
            &["there is no token in", "empty"],
        ),
        (&["--tls-cert", text(&bad)], 64, &["--tls-key"]),
        (&["--tls-client-ca", text(&bad)], 64, &["--tls-cert"]),
        (
            &["--tls-cert", text(&bad), "--tls-key", text(&bad)],
            66,
            &["no certificate in"],
        ),
        (
            &["--tls-cert", text(&missing), "--tls-key", text(&bad)],
            66,
            &["missing"],
        ),
    ] {
        let output = server(&[&["serve", "--listen", ":0", "--data", data], options].concat());
        let sentence = errors(&output);
        assert_eq!(output.status.code(), Some(code), "{options:?}: {sentence}");
        for word in words {
            assert!(sentence.contains(word), "{word:?} is not in: {sentence}");
        }
        assert!(!sentence.contains("secret"), "{sentence}");
    }
}
