//! The report of a run: its content, and how a browser renders it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use equibatch_harness::{
    browser::{Browser, Scheme},
    checkout,
    images::ImageFolder,
    process::{arguments, client, text},
};
use serde_json::Value;

use super::setup::Setup;

/// A run of two epochs on small images, with its server still running.
fn trained() -> (Setup, PathBuf) {
    let setup = Setup::of(ImageFolder::new(&[("birds & <co>", 10), ("flowers", 20)]));
    let run = setup.path("run");
    let options = "--arch resnet18@8 --size 64 --batch-size 8 --epochs 2 --out";
    let said = setup.trained(&arguments(options, &[text(&run)]));
    assert!(said.contains("report.html"), "{said}");
    (setup, run)
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
fn a_run_writes_a_report_that_can_be_rebuilt() {
    let (setup, run) = trained();
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
        "calibration",
        "precision-recall",
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

    // The same metrics as the run's own, and the losses sorted.
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

    // Rebuilt from the folder alone, with the same bytes.
    drop(setup.server);
    fs::remove_file(run.join("report.html")).unwrap();
    let again = client(&["report", text(&run)]);
    assert!(again.status.success(), "{again:?}");
    assert!(
        fs::read_to_string(run.join("report.html")).unwrap() == page,
        "the page differs"
    );
}

#[test]
fn a_report_on_request_gets_its_images_from_the_server() {
    let (setup, run) = trained();
    fs::remove_dir_all(run.join("report")).unwrap();
    let without = client(&["report", text(&run)]);
    assert!(without.status.success(), "{without:?}");
    let page = fs::read_to_string(run.join("report.html")).unwrap();
    assert!(
        page.contains("--evaluate") && !page.contains("<img"),
        "the page names the missing part"
    );
    let evaluated = setup.output("report", &[text(&run), "--evaluate", "--top-losses", "3"]);
    assert!(evaluated.status.success(), "{evaluated:?}");
    let page = fs::read_to_string(run.join("report.html")).unwrap();
    assert_eq!(
        page.matches("<img").count(),
        6,
        "three images with their overlays"
    );
    let nothing = client(&["report", text(&run.join("nowhere"))]);
    assert_eq!(nothing.status.code(), Some(65), "{nothing:?}");
}

/// A network without feature maps, and more classes than a table shows.
#[test]
fn a_report_without_attention_maps_shows_the_largest_losses_and_many_classes_as_a_drawing() {
    let names: Vec<String> = (0..8).map(|class| format!("class-{class}")).collect();
    let classes: Vec<(&str, usize)> = names
        .iter()
        .map(String::as_str)
        .zip([5, 5, 5, 5, 6, 7, 8, 9])
        .collect();
    let setup = Setup::of(ImageFolder::new(&classes));
    let run = setup.path("run");
    let network = checkout::fixture("networks/mlp.onnx");
    let options = "--unfreeze --size 32 --batch-size 8 --epochs 1 --model";
    let said = setup.trained(&arguments(options, &[text(&network), "--out", text(&run)]));
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
    assert!(page.contains("no Grad-CAM maps"), "the page gives the reason");
    assert!(
        page.contains("<figure id=\"confusion-matrix\"") && run.join("report/confusion-matrix.png").exists()
    );
    assert!(page.contains("class-2 and class-3, the rarest classes with 4 training images each"));
    assert!(
        page.contains(" of 1</td>") && !page.contains("100.0 %</td><td>20.7"),
        "one image is counted"
    );

    let evaluated = setup.output("evaluate", &[text(&run)]);
    let text = String::from_utf8(evaluated.stdout).unwrap();
    assert!(
        text.contains("of its class") && text.lines().all(|line| line.chars().count() < 140),
        "{text}"
    );
}

#[test]
fn the_report_renders_in_a_browser_and_is_accessible() {
    let Some(browser) = Browser::find() else {
        println!("skipped: no Chromium here; `apt-get install chromium`, or name one in CHROMIUM");
        return;
    };
    let (setup, run) = trained();
    let page = run.join("report.html");
    let mut papers = vec![];
    for scheme in [Scheme::Light, Scheme::Dark] {
        let shown = browser.show(&page, scheme, &setup.path(""));
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
    let printed = browser.print(&page, &setup.path(""));
    assert!(
        printed.starts_with(b"%PDF") && printed.len() > 20_000,
        "{} bytes",
        printed.len()
    );
}

/// Checks that there is one first heading and that no level is skipped.
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

/// Checks that every figure is present, is not empty, and has alternative text.
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
