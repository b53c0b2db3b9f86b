//! The sections of a run's report.

use maud::{Markup, html};

use super::{RunRecord, classes, curves, reproduce};
use crate::learn::{
    interpret::{Interpretation, TopLossRecord},
    metrics::ShotGroup,
    report::{
        canvas,
        evaluation::small_classes,
        html::{
            Figure, Gallery, GalleryItem, Page, Photo, Table,
            evaluation::{self, Cells},
        },
        table::percent,
    },
    text::counted,
};

/// The report as a page, and its figures.
///
/// # Errors
///
/// [`canvas::Error`] if a figure cannot be drawn.
pub fn page(record: &RunRecord) -> Result<(Page, Vec<Figure>), canvas::Error> {
    let mut figures = vec![];
    let mut drawn = |figure: Option<Figure>| -> Markup {
        let markup = figure.as_ref().map_or_else(|| html! {}, Figure::markup);
        figures.extend(figure);
        markup
    };
    let loss = drawn(curves::loss(record)?);
    let metrics = drawn(curves::metrics(record)?);
    let schedule = [
        drawn(curves::learning_rate(record)?),
        drawn(curves::momentum(record)?),
    ];
    let rates = drawn(curves::sweep(record)?);
    let speed = [
        drawn(curves::throughput(record)?),
        drawn(curves::waiting(record)?),
    ];
    let class_sampling = match &record.class_sampling {
        Some(class_sampling) => Some(drawn(Some(classes::class_sampling(class_sampling)?))),
        None => None,
    };
    let reliability = match record.metrics() {
        Some(metrics) => evaluation::reliability(metrics)?.map(|figure| drawn(Some(figure))),
        None => None,
    };
    let curves = record
        .interpretation
        .as_ref()
        .map_or(&[][..], |interpretation| &interpretation.curves);
    let curves = evaluation::precision_recall(curves)?.map(|figure| drawn(Some(figure)));
    let (confusion, drawing) = confusion(record)?.unzip();
    figures.extend(drawing.flatten());

    let mut page = Page::new(&format!("Training report: {}", record.name)).lede(lede(record));
    page = page.with(
        "learning",
        "Training",
        html! { (loss) (metrics) (skipped(record)) (replaced(record)) (damaged(record)) @if record.epochs.is_empty() { p { "No epoch is complete yet." } } (epochs(record)) },
    );
    if let Some(confusion) = confusion {
        page = page.with("confusion", "Confusion", confusion);
    }
    if let Some(figure) = reliability {
        page = page.with("calibration", "Calibration", figure);
    }
    if let Some(figure) = curves {
        page = page.with("precision-recall", "Precision and recall", figure);
    }
    page = page.with("worst", "Largest losses", top_losses(record));
    if let (Some(figure), Some(class_sampling)) = (class_sampling, &record.class_sampling) {
        let body = html! {
            p { "Balance " code { (record.config.balance) } ": training images and draws per epoch of each class. Within a class, \
                 every image is drawn once before any is drawn again." }
            (figure)
            @match classes::table_by_epoch(class_sampling) {
                Some(table) => (table),
                None => (classes::table(class_sampling)),
            }
        };
        page = page.with("classes", "Classes before and after balancing", body);
    }
    if !record.steps.is_empty() {
        page = page.with(
            "schedule",
            "Schedule",
            html! { div.charts { @for chart in &schedule { (chart) } } },
        );
    }
    if !record.sweep.is_empty() {
        page = page.with("rates", "Learning-rate sweep", rates);
    }
    page = page.with(
        "speed",
        "Speed",
        html! { (waiting_words(record)) div.charts { @for chart in &speed { (chart) } } },
    );
    page = page.with("again", "Reproduction", reproduce::markup(record));
    Ok((page, figures))
}

fn lede(record: &RunRecord) -> Markup {
    let config = &record.config;
    let (done, total) = record.steps_done();
    html! {
        p {
            (config.arch) " on " (config.dataset) ": " (config.classes.len()) " classes, " (counted(config.epochs, "epoch")) " of "
            (counted(config.steps_per_epoch, "step")) " of " (counted(config.batch_size, "image")) " at " (config.image_size)
            " pixels, balance " (config.balance) "."
            @if done < total { " Not finished: " (done) " of " (counted(total, "step")) " complete." }
        }
        @if let Some(metrics) = record.metrics() {
            (evaluation::headline(metrics, record.rarest().as_ref()))
            p.faint { "Metrics of the current model on the " (split(record)) " images, with 95 % intervals." }
        }
    }
}

fn split(record: &RunRecord) -> String {
    record.interpretation.as_ref().map_or_else(
        || "validation".to_owned(),
        |interpretation| match interpretation.split.name() {
            "valid" => "validation".to_owned(),
            name => name.to_owned(),
        },
    )
}

/// The number of skipped steps, if there are some.
fn skipped(record: &RunRecord) -> Markup {
    let skipped = record.skipped_steps();
    let scale = record.epochs.last().and_then(|epoch| epoch.loss_scale);
    html! {
        @if skipped > 0 {
            p {
                (counted(skipped, "step")) " of " (record.steps_done().0) " skipped, because a gradient was not finite in half precision; \
                 the loss scale was halved after each."
                @if let Some(scale) = scale { " Final loss scale: " (scale) "." }
            }
        }
    }
}

/// The number of images that replaced undecodable files, if there are some.
fn replaced(record: &RunRecord) -> Markup {
    let replaced = record.replaced();
    html! {
        @if replaced > 0 {
            p {
                "Undecodable images replaced by another of the same class: " (replaced) "; "
                code { "client datasets" } " lists the files."
            }
        }
    }
}

/// The number of damaged batches of each server, if there were any.
fn damaged(record: &RunRecord) -> Markup {
    html! {
        @for (server, count) in record.damaged() {
            p {
                (count) @if count == 1 { " batch" } @else { " batches" } " from " code { (server) } " arrived damaged (their checksums differed); their steps were requested \
                 again. Check the network between the two."
            }
        }
    }
}

/// The table of epochs.
fn epochs(record: &RunRecord) -> Markup {
    let mut table = Table::new(
        "After each epoch.",
        &[
            "epoch",
            "training loss",
            "validation loss",
            "error rate",
            "balanced accuracy",
            "images/s",
            "waiting",
            "replaced",
            "seconds",
        ],
    );
    for epoch in &record.epochs {
        let valid = epoch.valid.as_ref();
        table.row(vec![
            epoch.epoch.to_string(),
            format!("{:.4}", epoch.train_loss),
            valid.map_or_else(|| "-".to_owned(), |metrics| format!("{:.4}", metrics.loss)),
            percent(valid.and_then(|metrics| metrics.error_rate)),
            percent(valid.and_then(|metrics| metrics.balanced_accuracy)),
            format!("{:.1}", epoch.images_per_second),
            percent(Some(epoch.wait_share)),
            epoch.replaced.to_string(),
            format!("{:.1}", epoch.seconds),
        ]);
    }
    html! { @if !table.is_empty() { (table.markup()) } }
}

fn confusion(record: &RunRecord) -> Result<Option<(Markup, Option<Figure>)>, canvas::Error> {
    let Some(metrics) = record.metrics() else {
        return Ok(None);
    };
    let (matrix, drawing) =
        evaluation::confusion(metrics, "confusion-matrix", &[Cells::Counts, Cells::Shares])?;
    let training = record
        .class_sampling
        .as_ref()
        .map(|class_sampling| &*class_sampling.images);
    let section = html! {
        (matrix)
        (evaluation::confused_pairs(metrics))
        (evaluation::classes(metrics))
        (evaluation::shot_groups(&ShotGroup::of(metrics, training.unwrap_or_default())))
        @if let Some(warning) = small_classes(metrics) { p { (warning) "." } }
    };
    Ok(Some((section, drawing)))
}

fn top_losses(record: &RunRecord) -> Markup {
    let Some(interpretation) = &record.interpretation else {
        return html! {
            p { "The images of largest loss were not computed; "
                code { "client report " (record.folder.display()) " --evaluate" } " computes them." }
        };
    };
    if interpretation.top_losses.is_empty() {
        return html! { p { "No images." } };
    }
    html! {
        p {
            "The " (split(record)) " images of largest loss, preprocessed."
            @if interpretation.top_losses.iter().any(|image_record| image_record.attention.is_some()) {
                " Beside each, the Grad-CAM map of the last feature maps for the actual class."
            } @else {
                " There are no Grad-CAM maps, because they could not be computed for this network"
                @if let Some(reason) = &interpretation.without_attention { ": " (reason) } "."
            }
        }
        (gallery(record, interpretation).markup())
    }
}

fn gallery(record: &RunRecord, interpretation: &Interpretation) -> Gallery {
    let card = |image_record: &TopLossRecord| {
        let image = image_record
            .path
            .clone()
            .unwrap_or_else(|| format!("sample {}", image_record.sample));
        let is_wrong = image_record.actual != image_record.predicted;
        let heading = if is_wrong {
            format!("{}, predicted {}", image_record.actual, image_record.predicted)
        } else {
            format!("{}, correct", image_record.actual)
        };
        let plain = Interpretation::picture(&record.folder, &image_record.picture).map(|picture| Photo {
            image: picture,
            words: format!("{image}: {heading}"),
        });
        let attention = image_record.attention.as_deref();
        let attention = attention.and_then(|name| Interpretation::picture(&record.folder, name));
        let attention = attention.map(|picture| Photo {
            image: picture,
            words: format!("Grad-CAM map for {} in {image}", image_record.actual),
        });
        GalleryItem {
            photos: plain.into_iter().chain(attention).collect(),
            facts: vec![
                ("predicted".to_owned(), image_record.predicted.clone()),
                ("actual".to_owned(), image_record.actual.clone()),
                ("loss".to_owned(), format!("{:.2}", image_record.loss)),
                (
                    format!("probability of {}", image_record.actual),
                    percent(Some(image_record.probability)),
                ),
                ("image".to_owned(), image),
            ],
            heading,
            is_wrong,
        }
    };
    Gallery {
        cards: interpretation.top_losses.iter().map(card).collect(),
    }
}

fn waiting_words(record: &RunRecord) -> Markup {
    let seconds: f64 = record.epochs.iter().map(|epoch| epoch.seconds).sum();
    if seconds <= 0.0 {
        return html! { p { "No epoch is complete yet." } };
    }
    let waited: f64 = record
        .epochs
        .iter()
        .map(|epoch| epoch.seconds * epoch.wait_share)
        .sum();
    let images: f64 = record
        .epochs
        .iter()
        .map(|epoch| epoch.seconds * epoch.images_per_second)
        .sum();
    html! {
        p { (format!("{:.0} images in {:.0} seconds of training, {:.1} a second; {} of the time was spent waiting for batches.",
            images, seconds, images / seconds, percent(Some(waited / seconds)))) }
    }
}
