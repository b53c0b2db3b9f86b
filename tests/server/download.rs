//! `server download` from servers with faults.

use std::{
    collections::BTreeMap,
    fs,
    io::Cursor,
    net::IpAddr,
    path::Path,
    sync::{
        Arc, Barrier,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use equibatch_harness::{
    http::{HttpServer, Reply},
    images::picture,
    process,
};
use equibatch_tools::download::{
    ClassList, DownloadOptions, DownloadReport, Error, PrivateAddresses, download,
};
use image::ImageFormat;
use serde_json::Value;
use tempfile::TempDir;

fn encoded(number: u32, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(vec![]);
    picture((48, 40), number).write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

fn jpeg(number: u32) -> Vec<u8> {
    encoded(number, ImageFormat::Jpeg)
}

/// Short timeouts, and access to the test's own server only.
fn options(out: &Path) -> DownloadOptions {
    DownloadOptions {
        private: PrivateAddresses::Only(vec![IpAddr::from([127, 0, 0, 1])]),
        backoff: Duration::from_millis(1),
        ..DownloadOptions::new(out)
    }
}

fn list(class: &str, urls: &[String]) -> ClassList {
    ClassList {
        class: class.to_owned(),
        urls: urls.to_vec(),
    }
}

fn fetch(out: &Path, urls: &[String]) -> DownloadReport {
    download(&[list("birds", urls)], &options(out), &|| {}).unwrap()
}

fn reasons(report: &DownloadReport) -> Vec<&str> {
    let failures = report.failures.iter();
    failures.map(|failure| failure.reason.as_str()).collect()
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn folder() -> TempDir {
    TempDir::with_prefix("equibatch-download-").unwrap()
}

#[test]
fn images_are_numbered_by_line_and_named_by_content() {
    let server = HttpServer::start(|path, _| match path {
        "/get.php?id=2" => Reply::image("image/png", &encoded(2, ImageFormat::Png)),
        "/no-type.jpeg" => Reply::raw("200 OK", &[], &jpeg(3)),
        "/moved.jpg" => Reply::redirect("/moved/again.jpg"),
        "/moved/again.jpg" => Reply::redirect("/4.jpg"),
        _ => Reply::image("image/jpeg", &jpeg(1)),
    });
    let out = folder();
    let paths = ["/1.JPG?size=1.5", "/get.php?id=2", "/no-type.jpeg", "/moved.jpg"];
    let report = fetch(out.path(), &paths.map(|path| server.url(path)));
    assert_eq!(reasons(&report), Vec::<&str>::new());
    let expected = ["00000000.JPG", "00000001.png", "00000002.jpeg", "00000003.jpg"];
    assert_eq!(names(&out.path().join("birds")), expected);
    assert_eq!(fs::read(out.path().join("birds/00000002.jpeg")).unwrap(), jpeg(3));
    assert_eq!((report.classes[0].fetched, report.classes[0].lines), (4, 4));
}

#[test]
fn files_that_are_not_images_fail_with_a_reason_and_are_not_stored() {
    let half = jpeg(1)[..jpeg(1).len() / 2].to_vec();
    let server = HttpServer::start(move |path, _| match path {
        "/missing.jpg" => Reply::new("404 Not Found", &[("Content-Type", "image/jpeg")], &jpeg(1)),
        "/page.jpg" => Reply::image("text/html", b"<html>sorry</html>"),
        "/masked.jpg" => Reply::image("image/jpeg", b"<html>sorry</html>"),
        "/empty.jpg" => Reply::image("image/jpeg", b""),
        "/cut.jpg" => {
            let length = ("Content-Length", jpeg(1).len().to_string());
            Reply::raw("200 OK", &[length], &half)
        }
        "/half.jpg" => Reply::raw("200 OK", &[], &half),
        "/huge.jpg" => Reply::raw("200 OK", &[("Content-Length", "999999999999".to_owned())], b""),
        "/endless.jpg" => Reply::raw("200 OK", &[], &[jpeg(1), vec![0; 100_000]].concat()),
        "/loop.jpg" => Reply::redirect("/loop.jpg"),
        "/file.jpg" => Reply::redirect("file:///etc/hostname"),
        _ => Reply::new("404 Not Found", &[], b""),
    });
    let out = folder();
    let options = DownloadOptions {
        retries: 1,
        max_bytes: 50_000,
        ..options(out.path())
    };
    let cases = [
        ("/missing.jpg", "404", 1),
        ("/page.jpg", "text/html", 1),
        ("/masked.jpg", "not JPEG, PNG", 1),
        ("/empty.jpg", "empty", 1),
        ("/cut.jpg", "disconnected", 2),
        ("/half.jpg", "truncated", 1),
        ("/huge.jpg", "--max-bytes", 1),
        ("/endless.jpg", "--max-bytes", 1),
        ("/loop.jpg", "redirect", 1),
        // Another path of the same host.
        ("/file.jpg", "404", 1),
    ];
    let mut urls: Vec<String> = cases.iter().map(|(path, ..)| server.url(path)).collect();
    urls.extend(
        [
            "ftp://127.0.0.1/a.jpg",
            "not an address",
            "http://no.such.host.invalid/",
        ]
        .map(str::to_owned),
    );
    let report = download(&[list("birds", &urls)], &options, &|| {}).unwrap();
    assert_eq!(report.failures.len(), urls.len());
    for ((path, words, tries), failure) in cases.iter().zip(&report.failures) {
        assert!(failure.reason.contains(words), "{path}: {}", failure.reason);
        assert_eq!(failure.tries, *tries, "{path}: {}", failure.reason);
    }
    assert_eq!(names(&out.path().join("birds")), Vec::<String>::new());
}

#[test]
fn a_silent_server_times_out() {
    let server = HttpServer::start(|path, _| match path {
        "/silent.jpg" => Reply::Stall(vec![]),
        _ => Reply::image("image/jpeg", &jpeg(1)).stalled(300),
    });
    let out = folder();
    let impatient = DownloadOptions {
        retries: 1,
        timeout: Duration::from_millis(50),
        ..options(out.path())
    };
    let urls = ["/silent.jpg", "/slow.jpg"].map(|path| server.url(path));
    let report = download(&[list("birds", &urls)], &impatient, &|| {}).unwrap();
    assert!(
        reasons(&report).iter().all(|reason| reason.contains("timeout (")),
        "{report:?}"
    );
    assert_eq!(names(&out.path().join("birds")), Vec::<String>::new());
    assert_eq!(server.requests().len(), 2);
}

#[test]
fn local_addresses_are_refused_unless_allowed() {
    let server = HttpServer::start(|_, _| Reply::image("image/jpeg", &jpeg(1)));
    let out = folder();
    let port = server.port();
    let urls: Vec<String> = [
        "127.0.0.1",
        "localhost",
        "[::ffff:127.0.0.1]",
        "0.0.0.0",
        "2130706433",
    ]
    .map(|host| format!("http://{host}:{port}/a.jpg"))
    .to_vec();
    let careful = DownloadOptions {
        private: PrivateAddresses::Refused,
        retries: 0,
        ..options(out.path())
    };
    let report = download(&[list("birds", &urls)], &careful, &|| {}).unwrap();
    assert_eq!(report.failures.len(), urls.len());
    let named = reasons(&report);
    assert!(
        named[..4].iter().all(|reason| reason.contains("--allow-private")),
        "{named:?}"
    );
    assert_eq!(server.requests(), BTreeMap::new());
}

#[test]
fn redirects_to_disallowed_addresses_are_refused() {
    let secret = HttpServer::start_on(IpAddr::from([127, 0, 0, 2]), |_, _| {
        Reply::image("image/jpeg", &jpeg(1))
    });
    let port = secret.port();
    let server = HttpServer::start(move |path, _| match path {
        "/name.jpg" => Reply::redirect(&format!("http://127.0.0.2:{port}/")),
        "/mapped.jpg" => Reply::redirect(&format!("http://[::ffff:127.0.0.2]:{port}/")),
        "/twice.jpg" => Reply::redirect("/name.jpg"),
        path => panic!("{path}"),
    });
    let out = folder();
    let urls = ["/name.jpg", "/mapped.jpg", "/twice.jpg"].map(|path| server.url(path));
    let report = fetch(out.path(), &urls);
    assert_eq!(report.failures.len(), 3);
    assert!(
        reasons(&report).iter().all(|reason| reason.contains("127.0.0.2")),
        "{report:?}"
    );
    assert_eq!(secret.requests(), BTreeMap::new());
}

#[test]
fn transient_faults_are_retried_up_to_the_limit() {
    let server = HttpServer::start(|path, before| match (path, before) {
        ("/tired.jpg", 0) => Reply::new("503 Service Unavailable", &[], b""),
        ("/tired.jpg", 1) => Reply::new("429 Too Many Requests", &[("Retry-After", "0")], b""),
        ("/broken.jpg", 0) => Reply::Bytes(b"HTTP/1.1 200 OK\r\nContent-Le".to_vec()),
        ("/down.jpg", _) => Reply::new("502 Bad Gateway", &[], b""),
        ("/later.jpg", _) => Reply::new("429 Too Many Requests", &[("Retry-After", "3600")], b""),
        _ => Reply::image("image/jpeg", &jpeg(1)),
    });
    let out = folder();
    let paths = ["/tired.jpg", "/broken.jpg", "/down.jpg", "/later.jpg"];
    let report = fetch(out.path(), &paths.map(|path| server.url(path)));
    assert_eq!(names(&out.path().join("birds")), ["00000000.jpg", "00000001.jpg"]);
    let tries: Vec<u32> = report.failures.iter().map(|failure| failure.tries).collect();
    assert_eq!(tries, [4, 1]);
    assert!(reasons(&report)[1].contains("3600 s"), "{report:?}");
    let expected = [
        ("/broken.jpg", 2),
        ("/down.jpg", 4),
        ("/later.jpg", 1),
        ("/tired.jpg", 3),
    ];
    assert_eq!(
        server.requests(),
        expected.map(|(path, count)| (path.to_owned(), count)).into()
    );
}

#[test]
fn concurrent_requests_per_host_are_limited() {
    // Responses are sent in pairs: fewer than two connections would never end, more than two are counted.
    let (pair, open, most) = (
        Barrier::new(2),
        AtomicUsize::new(0),
        Arc::new(AtomicUsize::new(0)),
    );
    let counted = Arc::clone(&most);
    let server = HttpServer::start(move |_, _| {
        counted.fetch_max(open.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        pair.wait();
        open.fetch_sub(1, Ordering::SeqCst);
        Reply::image("image/jpeg", &jpeg(1))
    });
    let out = folder();
    let options = DownloadOptions {
        jobs: 8.try_into().unwrap(),
        per_host: 2.try_into().unwrap(),
        ..options(out.path())
    };
    let urls: Vec<String> = (0..12)
        .map(|number| server.url(&format!("/{number}.jpg")))
        .collect();
    let report = download(&[list("birds", &urls)], &options, &|| {}).unwrap();
    assert_eq!(report.classes[0].fetched, 12);
    assert_eq!(most.load(Ordering::SeqCst), 2);
}

#[test]
fn a_second_run_fetches_what_is_missing_and_leaves_the_rest_alone() {
    let server = HttpServer::start(|path, before| match (path, before) {
        ("/1.jpg", 0) => Reply::new("404 Not Found", &[], b""),
        (_, before) => Reply::image("image/jpeg", &jpeg(before as u32)),
    });
    let out = folder();
    let urls = ["/0.jpg", "/1.jpg", "/2.jpg"].map(|path| server.url(path));
    let first = fetch(out.path(), &urls);
    assert_eq!((first.classes[0].fetched, first.classes[0].failed), (2, 1));
    let birds = out.path().join("birds");
    fs::write(birds.join("00000002.jpg"), b"mine").unwrap();
    let second = fetch(out.path(), &urls);
    assert_eq!((second.classes[0].fetched, second.classes[0].present), (1, 2));
    assert_eq!(names(&birds), ["00000000.jpg", "00000001.jpg", "00000002.jpg"]);
    assert_eq!(fs::read(birds.join("00000000.jpg")).unwrap(), jpeg(0));
    assert_eq!(fs::read(birds.join("00000002.jpg")).unwrap(), b"mine");
    assert_eq!(server.requests().values().copied().collect::<Vec<_>>(), [1, 2, 1]);
}

#[test]
fn a_repeated_line_is_fetched_once() {
    let server = HttpServer::start(|_, _| Reply::image("image/jpeg", &jpeg(1)));
    let out = folder();
    let url = server.url("/a.jpg");
    let report = fetch(out.path(), &[url.clone(), url.clone(), server.url("/b.jpg"), url]);
    assert_eq!((report.classes[0].fetched, report.classes[0].repeated), (2, 2));
    assert_eq!(names(&out.path().join("birds")), ["00000000.jpg", "00000002.jpg"]);
    assert_eq!(server.requests().values().sum::<usize>(), 2);
}

#[cfg(unix)]
#[test]
fn nothing_is_written_through_a_link_out_of_the_folder() {
    let (out, elsewhere) = (folder(), folder());
    std::os::unix::fs::symlink(elsewhere.path(), out.path().join("birds")).unwrap();
    let server = HttpServer::start(|_, _| Reply::image("image/jpeg", &jpeg(1)));
    let lists = [list("birds", &[server.url("/a.jpg")])];
    let error = download(&lists, &options(out.path()), &|| {}).unwrap_err();
    assert!(matches!(error, Error::Elsewhere { .. }), "{error}");
    assert_eq!(names(elsewhere.path()), Vec::<String>::new());
}

#[test]
fn the_command_downloads_classes_and_reports_counts() {
    let server = HttpServer::start(|path, _| match path.strip_suffix(".jpg") {
        Some(number) => Reply::image("image/jpeg", &jpeg(number[1..].parse().unwrap())),
        None => Reply::new("404 Not Found", &[], b""),
    });
    let folder = folder();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let write = |name: &str, numbers: std::ops::Range<u32>| {
        let lines = numbers.map(|number| server.url(&format!("/{number}.jpg")) + "\n");
        fs::write(path(name), lines.collect::<String>()).unwrap();
    };
    write("birds.csv", 0..3);
    write("flowers.csv", 3..9);
    fs::write(path("gone.csv"), server.url("/gone")).unwrap();
    fs::write(path("empty.csv"), "\n").unwrap();
    let run = |lists: &[String], options: &[&str]| {
        let out = path("data");
        let fixed = ["--out", &out, "--allow-private=127.0.0.1"];
        let lists = lists.iter().map(String::as_str);
        let arguments: Vec<&str> = ["download"]
            .into_iter()
            .chain(lists)
            .chain(fixed)
            .chain(options.iter().copied())
            .collect();
        let output = process::server(&arguments);
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code(), text(output.stdout), text(output.stderr))
    };
    let list = |name: &str, class: &str| format!("{}={class}", path(name));
    let both = [list("birds.csv", "birds"), list("flowers.csv", "flowers")];

    let (code, json, errors) = run(&both, &["--max-pics", "4", "--json"]);
    assert_eq!((code, errors.as_str()), (Some(0), ""));
    let report: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(report["classes"][1]["fetched"], 4);
    let (code, text, _) = run(&both, &[]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("flowers      6        2"), "{text}");
    let stats = process::server(&["stats", &path("data"), "--no-pixels"]);
    assert!(stats.status.success());

    let (code, text, errors) = run(&[list("gone.csv", "cats")], &["--retries", "0"]);
    assert_eq!(code, Some(69), "{text}{errors}");
    assert!(text.contains("cats/00000000  ") && text.contains("404"), "{text}");
    fs::write(
        path("mixed.csv"),
        format!("{}\n{}\n", server.url("/9.jpg"), server.url("/gone")),
    )
    .unwrap();
    assert_eq!(run(&[list("mixed.csv", "dogs")], &[]).0, Some(65));

    for (lists, options, code, words) in [
        (vec![list("missing.csv", "a")], &[][..], 66, "missing.csv"),
        (vec![list("empty.csv", "a")], &[], 66, "no URL"),
        (vec![list("birds.csv", "../a")], &[], 64, "LIST=CLASS"),
        (vec![list("birds.csv", ".a")], &[], 64, "LIST=CLASS"),
        (vec![list("birds.csv", "test")], &[], 64, "split"),
        (vec![path("birds.csv")], &[], 64, "LIST=CLASS"),
        (
            vec![list("birds.csv", "a"), list("gone.csv", "A")],
            &[],
            64,
            "already",
        ),
        (both.to_vec(), &["--jobs", "0"], 64, "--jobs"),
        (both.to_vec(), &["--timeout", "0"], 64, "--timeout"),
        (both.to_vec(), &["--max-bytes", "lots"], 64, "--max-bytes"),
    ] {
        let (found, _, errors) = run(&lists, options);
        assert_eq!(found, Some(code), "{lists:?} {options:?}: {errors}");
        assert!(errors.contains(words), "{lists:?} {options:?}: {errors}");
    }
}
