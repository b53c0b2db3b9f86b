//! TLS, tokens, and credential files that change.

use std::{fs, path::Path};

use equibatch_harness::{
    certificates::Authority,
    files::written,
    images::{ImageFolder, pictures},
    process::{ServerProcess, TokenClient, errors, server, text},
    receive::{endless, failure, receive, small},
};
use equibatch_proto::v1::{
    DescribeDatasetRequest, ListDatasetsRequest, batch_loader_client::BatchLoaderClient,
};
use tonic::{
    Code,
    transport::{Certificate, ClientTlsConfig, Endpoint},
};

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

#[tokio::test]
async fn a_token_limits_datasets_streams_epochs_and_weight() {
    let (images, others) = (pictures(), ImageFolder::new(&[("cats", 5), ("dogs", 5)]));
    let tokens = written(&format!(
        "{TOKEN} all\n{OTHER} some datasets=pets max-streams=1 max-epochs=1000 max-batch-bytes=1MiB weight=5\n"
    ));
    let pets = format!("pets={}", others.root().display());
    let server = ServerProcess::start(images.root(), &["--data", &pets, "--tokens", text(&tokens)]);
    let (mut all, mut some) = (
        server.client_with_token(TOKEN).await,
        server.client_with_token(OTHER).await,
    );

    let names = async |client: &mut TokenClient| {
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

    // The name may be left out if only one dataset is visible.
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
async fn a_changed_token_file_is_reloaded_and_no_token_is_logged() {
    let images = pictures();
    let tokens = written(&format!("{TOKEN} first\n"));
    let options = ["--listen", ":0", "--log", "trace", "--tokens", text(&tokens)];
    let (server, log) = ServerProcess::with_log(images.root(), &options);
    let mut first = server.client_with_token(TOKEN).await;
    let mut second = server.client_with_token(OTHER).await;
    let mut stream = endless(&mut first).await;
    assert_eq!(
        second
            .list_datasets(ListDatasetsRequest {})
            .await
            .unwrap_err()
            .code(),
        Code::Unauthenticated
    );

    // An invalid file changes nothing.
    fs::write(&tokens, "nonsense\n").unwrap();
    log.wait_for("cannot reload the tokens").await;
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
    let log = log.text();
    assert!(log.contains("tokens reloaded"), "{log}");
    assert!(
        !log.contains(TOKEN) && !log.contains(OTHER),
        "a token is in the log"
    );
}

#[tokio::test]
async fn sighup_reloads_files_and_logs_options_that_need_a_restart() {
    let images = pictures();
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let (tokens, others, config) = (path("tokens"), path("others"), path("server.toml"));
    fs::write(&tokens, format!("{TOKEN} first\n")).unwrap();
    fs::write(&others, format!("{TOKEN} first\n{OTHER} second\n")).unwrap();
    let configure = |tokens: &Path, more: &str| {
        fs::write(&config, format!("tokens = {:?}\n{more}", text(tokens))).unwrap();
    };
    configure(&tokens, "");
    let options = ["--listen", ":0", "--log", "info", "--config", text(&config)];
    let (mut server, log) = ServerProcess::with_log(images.root(), &options);
    let mut first = server.client_with_token(TOKEN).await;
    let mut stream = endless(&mut first).await;

    configure(&others, "max-streams = 7\n");
    server.hang_up();
    log.wait_for("tokens reloaded").await;
    log.wait_for("these options need a restart").await;
    assert!(log.text().contains("max-streams"));
    let mut second = server.client_with_token(OTHER).await;
    assert!(second.list_datasets(ListDatasetsRequest {}).await.is_ok());

    // An invalid configuration changes nothing.
    configure(&others, "colour = 1\n");
    server.hang_up();
    log.wait_for("the previous one stays in force").await;
    assert!(second.list_datasets(ListDatasetsRequest {}).await.is_ok());
    assert!(stream.message().await.unwrap().is_some(), "no stream ends");
    drop((stream, first, second));
    server.terminate();
    let status = tokio::task::spawn_blocking(move || server.wait()).await.unwrap();
    assert_eq!(status.code(), Some(0));
}

#[test]
fn invalid_credential_files_are_refused_at_start() {
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
