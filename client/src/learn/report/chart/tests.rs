use std::{env, fs, path::Path};

use super::*;
use crate::learn::report::{
    canvas::{Color, Picture, page_svg, png, svg},
    html::{Figure, Page},
};

fn loss() -> Chart {
    let training: Vec<(f64, f64)> = (1..=300)
        .map(|step| {
            let x = f64::from(step);
            (x, 0.9 * (-x / 90.0).exp() + 0.1 + 0.08 * (x * 1.7).sin())
        })
        .collect();
    let smooth = training
        .iter()
        .map(|&(x, _)| (x, 0.9 * (-x / 90.0).exp() + 0.1))
        .collect();
    let valid = (1..=10)
        .map(|epoch| (f64::from(epoch) * 30.0, 0.7 / f64::from(epoch) + 0.12))
        .collect();
    Chart {
        events: vec![(120.0, "unfrozen".to_owned())],
        ..Chart::new(
            Axis::new("step"),
            Axis::new("loss").from_zero(),
            vec![
                Series::line("", 0, training).with_style(LineStyle::Background),
                Series::line("training, smoothed", 0, smooth),
                Series::line("validation", 1, valid).with_style(LineStyle::LineAndDots),
            ],
        )
    }
}

fn finder() -> Chart {
    let points = (0..100)
        .map(|step| {
            let rate = 1e-7 * 10_f64.powf(f64::from(step) * 0.08);
            (rate, 0.7 - 0.4 * (rate / (rate + 3e-3)) + rate.powi(2) * 0.1)
        })
        .collect();
    Chart::new(
        Axis::new("learning rate").logarithmic(),
        Axis::new("loss, smoothed"),
        vec![Series::line("", 0, points)],
    )
}

fn class_sampling() -> Bars {
    let bar = |name: &str, before: f64, after: f64| BarGroup {
        name: name.to_owned(),
        values: [before, after].map(|value| (value, value.to_string())).to_vec(),
    };
    Bars {
        axis: Axis::new("images").from_zero(),
        kinds: ["files", "draws per epoch"].map(str::to_owned).to_vec(),
        groups: vec![
            bar("flowers", 160.0, 160.0),
            bar("birds", 16.0, 160.0),
            bar("a class with a name beyond all measure", 1.0, 160.0),
        ],
    }
}

#[test]
fn files_have_colours_and_pages_have_css_variables() {
    for (name, picture, words) in [
        (
            "loss",
            &loss() as &dyn Picture,
            &["step", "loss", "training, smoothed", "validation", "unfrozen"][..],
        ),
        ("finder", &finder(), &["learning rate", "1e-7"]),
        (
            "exposure",
            &class_sampling(),
            &["flowers", "draws per epoch", "160"],
        ),
    ] {
        let file = svg(picture).expect("a drawing");
        for word in words {
            assert!(file.contains(&format!("{word}\n")), "{name}: no {word}");
        }
        assert!(file.contains("#0B62B8") && !file.contains("var("), "{name}");
        let page = page_svg(picture, "words & <more>")
            .expect("a drawing")
            .into_string();
        assert!(page.contains("var(--series-0)") && !page.contains('#'), "{name}");
        assert!(
            page.starts_with("<svg role=\"img\" aria-label=\"words &amp; &lt;more&gt;\" viewBox"),
            "{name}"
        );
        assert!(
            page.ends_with("</svg>") && page.matches("<svg").count() == 1,
            "{name}"
        );
        let bitmap = image::load_from_memory(&png(picture).expect("a drawing"))
            .expect("a picture")
            .to_rgb8();
        let inked = bitmap
            .pixels()
            .filter(|pixel| pixel.0 == [0x0b, 0x62, 0xb8])
            .count();
        assert!(inked > 300, "{name}: {inked}");
    }
}

#[test]
fn a_chart_without_points_has_axes() {
    let chart = Chart::new(
        Axis::new("x"),
        Axis::new("y"),
        vec![Series::line("nothing", 0, vec![])],
    );
    assert!(svg(&chart).expect("a drawing").contains("nothing\n"));
}

#[test]
fn values_that_cannot_be_shown_leave_a_gap() {
    let points = vec![
        (1.0, 1.0),
        (2.0, 1.0),
        (3.0, f64::NAN),
        (4.0, 1.0),
        (5.0, 1.0),
        (6.0, f64::INFINITY),
        (7.0, 2.0),
    ];
    let chart = Chart::new(Axis::new("x"), Axis::new("y"), vec![Series::line("", 0, points)]);
    let drawn = svg(&chart).expect("a drawing");
    assert_eq!(drawn.matches("stroke=\"#0B62B8\"").count(), 2, "{drawn}");
    assert_eq!(Series::line("", 6, vec![]).color, Color::Series(6));
}

/// `PICTURES=folder cargo test ... saved_as_two_files` leaves the pictures in the folder for visual inspection.
#[test]
fn a_figure_is_saved_as_two_files() {
    let temporary = tempfile::tempdir().expect("a temporary folder");
    let folder = env::var_os("PICTURES").map_or_else(|| temporary.path().to_path_buf(), Into::into);
    let mut page = Page::new("Figures");
    for (id, picture) in [
        ("loss", &loss() as &dyn Picture),
        ("finder", &finder()),
        ("exposure", &class_sampling()),
    ] {
        let figure = Figure::chart(id, "A caption.", "What is to be seen.", picture).expect("a drawing");
        figure.save(Path::new(&folder)).expect("written");
        for extension in ["svg", "png"] {
            assert!(folder.join(format!("{id}.{extension}")).exists());
        }
        page = page.with(id, id, figure.markup());
    }
    fs::write(folder.join("page.html"), page.to_html()).expect("written");
}
