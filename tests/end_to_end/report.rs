//! The report of a run: what it holds, and how a browser shows it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use equibatch_harness::{
    browser::{Browser, Scheme},
    checkout,
    images::ImageFolder,
    process::{ServerProcess, client},
};
use serde_json::Value;
use tempfile::TempDir;

/// A run of two epochs on small images, with a server that is still there.
struct Trained {
    folder: TempDir,
    run: PathBuf,
    server: ServerProcess,
    _images: ImageFolder,
}

fn trained() -> Trained {
    let images = ImageFolder::new(&[("birds & <co>", 10), ("flowers", 20)]);
    let server = ServerProcess::start(images.root(), &[]);
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let output = client(&[
        "train",
        "--server",
        &server.address,
        "--arch",
        "resnet18@8",
        "--size",
        "64",
        "--batch-size",
        "8",
        "--threads",
        "1",
        "--epochs",
        "2",
        "--out",
        run.to_str().unwrap(),
    ]);
    assert!(output.status.success(), "{output:?}");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("report.html"), "{said}");
    Trained {
        folder,
        run,
        server,
        _images: images,
    }
}

fn json(path: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

const DRAWINGS: [&str; 7] = [
    "loss",
    "metrics",
    "learning-rate",
    "momentum",
    "throughput",
    "waiting",
    "exposure",
];

#[test]
fn a_run_leaves_a_report_that_can_be_made_again() {
    let Trained {
        folder: _folder,
        run,
        server,
        _images,
    } = trained();
    let page = fs::read_to_string(run.join("report.html")).unwrap();
    for drawing in DRAWINGS {
        for extension in ["svg", "png"] {
            let path = run.join("report").join(format!("{drawing}.{extension}"));
            assert!(fs::metadata(&path).unwrap().len() > 500, "{}", path.display());
        }
        assert!(page.contains(&format!("<figure id=\"{drawing}\"")), "{drawing}");
    }
    for section in [
        "learning",
        "confusion",
        "worst",
        "classes",
        "schedule",
        "speed",
        "again",
    ] {
        assert!(page.contains(&format!("<section id=\"{section}\"")), "{section}");
    }
    assert!(page.contains("birds &amp; &lt;co&gt;") && !page.contains("<co>"));
    assert!(
        page.contains("--arch resnet18@8") && page.contains("spec_hash"),
        "the command and the token"
    );

    // The same figures as the run's own, and the losses in their order.
    let examination = json(&run.join("report/examination.json"));
    let last = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    let last: Value = serde_json::from_str(last.lines().last().unwrap()).unwrap();
    assert_eq!(
        examination["figures"]["confusion_matrix"],
        last["valid"]["confusion_matrix"]
    );
    let worst = examination["worst"].as_array().unwrap();
    assert_eq!(worst.len(), 6, "all validation images");
    let losses: Vec<f64> = worst
        .iter()
        .map(|failure| failure["loss"].as_f64().unwrap())
        .collect();
    assert!(losses.windows(2).all(|pair| pair[0] >= pair[1]), "{losses:?}");
    let mean = losses.iter().sum::<f64>() / losses.len() as f64;
    assert!((mean - last["valid"]["loss"].as_f64().unwrap()).abs() < 1e-5);
    for failure in worst {
        let path = failure["path"].as_str().unwrap();
        assert!(path.starts_with(failure["actual"].as_str().unwrap()), "{failure}");
        let [plain, attention] = ["picture", "attention"].map(|kind| {
            image::open(run.join("report").join(failure[kind].as_str().unwrap()))
                .unwrap()
                .to_rgb8()
        });
        assert_eq!((plain.dimensions(), attention.dimensions()), ((64, 64), (64, 64)));
        assert!(plain != attention);
    }

    // From the folder alone, to the byte.
    drop(server);
    fs::remove_file(run.join("report.html")).unwrap();
    let again = client(&["report", run.to_str().unwrap()]);
    assert!(again.status.success(), "{again:?}");
    assert!(
        fs::read_to_string(run.join("report.html")).unwrap() == page,
        "the page differs"
    );
}

#[test]
fn a_report_on_request_asks_the_server_for_the_images() {
    let Trained {
        folder: _folder,
        run,
        server,
        _images,
    } = trained();
    fs::remove_dir_all(run.join("report")).unwrap();
    let without = client(&["report", run.to_str().unwrap()]);
    assert!(without.status.success(), "{without:?}");
    let page = fs::read_to_string(run.join("report.html")).unwrap();
    assert!(
        page.contains("--evaluate") && !page.contains("<img"),
        "it says what is missing"
    );
    let judged = client(&[
        "report",
        run.to_str().unwrap(),
        "--evaluate",
        "--server",
        &server.address,
        "--top-losses",
        "3",
        "--threads",
        "1",
    ]);
    assert!(judged.status.success(), "{judged:?}");
    let page = fs::read_to_string(run.join("report.html")).unwrap();
    assert_eq!(
        page.matches("<img").count(),
        6,
        "three images with their overlays"
    );
    let nothing = client(&["report", run.join("nowhere").to_str().unwrap()]);
    assert_eq!(nothing.status.code(), Some(65), "{nothing:?}");
}

/// A network without feature maps, and more classes than a table of them can be read in.
#[test]
fn a_report_without_attention_maps_shows_the_largest_losses_and_many_classes_as_a_drawing() {
    let names: Vec<String> = (0..8).map(|class| format!("class-{class}")).collect();
    let classes: Vec<(&str, usize)> = names
        .iter()
        .map(String::as_str)
        .zip([5, 5, 5, 5, 6, 7, 8, 9])
        .collect();
    let images = ImageFolder::new(&classes);
    let server = ServerProcess::start(images.root(), &[]);
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let network = checkout::fixture("networks/mlp.onnx");
    let output = client(&[
        "train",
        "--server",
        &server.address,
        "--model",
        network.to_str().unwrap(),
        "--unfreeze",
        "--size",
        "32",
        "--batch-size",
        "8",
        "--threads",
        "1",
        "--epochs",
        "1",
        "--out",
        run.to_str().unwrap(),
    ]);
    assert!(output.status.success(), "{output:?}");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        said.contains("8 classes, ") && said.contains("images (4 to "),
        "{said}"
    );
    assert!(said.contains("of 8 images per epoch, 1 epoch at"), "{said}");
    assert!(said.contains("  replaced  "), "{said}");

    let examination = json(&run.join("report/examination.json"));
    let worst = examination["worst"].as_array().unwrap();
    assert!(
        worst.len() >= 8 && worst.iter().all(|failure| failure["attention"].is_null()),
        "{examination}"
    );
    let page = fs::read_to_string(run.join("report.html")).unwrap();
    assert_eq!(page.matches("<img").count(), worst.len());
    assert!(page.contains("no Grad-CAM maps"), "it says why");
    assert!(
        page.contains("<figure id=\"confusion-matrix\"") && run.join("report/confusion-matrix.png").exists()
    );
    assert!(page.contains("class-2 and class-3, the rarest classes with 4 training images each"));
    assert!(
        page.contains(" of 1</td>") && !page.contains("100.0 %</td><td>20.7"),
        "one image is counted"
    );

    let judged = client(&[
        "evaluate",
        run.to_str().unwrap(),
        "--server",
        &server.address,
        "--threads",
        "1",
    ]);
    let text = String::from_utf8(judged.stdout).unwrap();
    assert!(
        text.contains("of its class") && text.lines().all(|line| line.chars().count() < 140),
        "{text}"
    );
}

#[test]
fn a_browser_shows_the_report_to_everybody() {
    let Some(browser) = Browser::find() else {
        println!("skipped: no Chromium here; `apt-get install chromium`, or name one in CHROMIUM");
        return;
    };
    let Trained { folder, run, .. } = &trained();
    let page = run.join("report.html");
    let mut papers = vec![];
    for scheme in [Scheme::Light, Scheme::Dark] {
        let shown = browser.show(&page, scheme, folder.path());
        let found = &shown.found;
        assert_eq!(shown.console, [] as [&str; 0], "{scheme:?}");
        for nothing in ["outside", "broken", "repeated", "faint"] {
            assert_eq!(found[nothing], serde_json::json!([]), "{scheme:?} {nothing}");
        }
        for zero in ["scripts", "unreachable", "wide"] {
            assert_eq!(found[zero], 0, "{scheme:?} {zero}");
        }
        assert_eq!(found["lang"], "en");
        headings(found);
        figures(found);
        for table in found["tables"].as_array().unwrap() {
            assert!(!table["caption"].as_str().unwrap().is_empty(), "{table}");
            assert!(
                table["rows"].as_u64() > Some(0) && table["unscoped"] == 0,
                "{table}"
            );
        }
        papers.push(found["paper"].clone());
    }
    assert_ne!(papers[0], papers[1], "light and dark");
    let printed = browser.print(&page, folder.path());
    assert!(
        printed.starts_with(b"%PDF") && printed.len() > 20_000,
        "{} bytes",
        printed.len()
    );
}

/// One first heading, and no level left out.
fn headings(found: &Value) {
    let levels: Vec<u64> = found["headings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|heading| heading[0].as_u64().unwrap())
        .collect();
    assert_eq!(levels.iter().filter(|&&level| level == 1).count(), 1);
    assert!(levels.windows(2).all(|pair| pair[1] <= pair[0] + 1), "{levels:?}");
}

/// Every one is there, is not empty, and has words in its place.
fn figures(found: &Value) {
    let figures = found["figures"].as_array().unwrap();
    for drawing in DRAWINGS {
        assert!(figures.iter().any(|figure| figure["id"] == drawing), "{drawing}");
    }
    let is_large = |size: &Value| size[0].as_u64() > Some(40) && size[1].as_u64() > Some(40);
    for figure in figures {
        assert!(!figure["caption"].as_str().unwrap().is_empty(), "{figure}");
        let (drawings, photographs) = (
            figure["drawings"].as_array().unwrap(),
            figure["photographs"].as_array().unwrap(),
        );
        assert!(drawings.len() + photographs.len() > 0, "{figure}");
        for drawing in drawings {
            assert!(
                is_large(&drawing["box"]) && drawing["shapes"].as_u64() > Some(5),
                "{figure}"
            );
            assert!(
                drawing["role"] == "img" && drawing["name"].as_str().unwrap().len() > 20,
                "{figure}"
            );
        }
        for photograph in photographs {
            assert!(
                is_large(&photograph["box"]) && photograph["natural"][0] == 64,
                "{figure}"
            );
            assert!(!photograph["name"].as_str().unwrap().is_empty(), "{figure}");
        }
    }
    let photographs: usize = figures
        .iter()
        .map(|figure| figure["photographs"].as_array().unwrap().len())
        .sum();
    assert_eq!(photographs, 12);
}
