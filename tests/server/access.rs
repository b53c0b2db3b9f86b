//! Who may come in: TLS, certificates of clients, tokens.

use std::{
    fs::{self, File},
    path::Path,
    process::Output,
};

use equibatch_harness::{
    certificates::Authority,
    images::ImageFolder,
    process::{ServerProcess, server},
    receive::{failure, receive, small},
    wait::eventually_async,
};
use equibatch_proto::v1::{
    DescribeDatasetRequest, ListDatasetsRequest, batch_loader_client::BatchLoaderClient,
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

const TOKEN: &str = "correct-horse-battery-staple";
const OTHER: &str = "another-token-of-some-length";

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
