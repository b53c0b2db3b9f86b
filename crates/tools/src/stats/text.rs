use std::fmt::Write as _;

use super::{ChannelMeanStd, ClassDraws, PolicyStats, Stats};
use equibatch_cli::terminal::table;
use equibatch_engine::byte_size::text as bytes;

/// Formats the statistics as text.
#[must_use]
pub fn text(stats: &Stats) -> String {
    let mut text = format!("{}  (fingerprint {})\n\n", stats.root, &stats.fingerprint[..12]);
    text += &classes(stats);
    // Writing to a string never fails.
    let _ = match stats.imbalance_ratio {
        Some(ratio) => writeln!(
            text,
            "\nimbalance: the largest class has {ratio:.1} times the training images of the smallest"
        ),
        None => writeln!(text, "\nno training images"),
    };
    if let Some(sizes) = &stats.sizes {
        let range =
            |range: super::MinMedianMax| format!("{} to {} (median {})", range.min, range.max, range.median);
        let _ = writeln!(
            text,
            "width {} px, height {} px; smaller than the image size: {} of {}\nfiles: {}; decoded: {} (a --cache-bytes of that keeps them all)",
            range(sizes.width),
            range(sizes.height),
            sizes.enlarged,
            sizes.images,
            bytes(sizes.file_bytes),
            bytes(sizes.decoded_bytes),
        );
    }
    if let Some(pixels) = &stats.pixels {
        let _ = writeln!(
            text,
            "\nchannels of {} training images, red, green, blue, from 0 to 1:\n  as they are     {}\n  classes equal   {}",
            pixels.images,
            channels(&pixels.natural),
            channels(&pixels.balanced),
        );
    }
    if !stats.policies.is_empty() {
        let _ = write!(text, "\none epoch of training\n{}", policies(&stats.policies));
    }
    for file in &stats.unusable {
        let _ = writeln!(text, "not served: {}: {}", file.path, file.reason);
    }
    for warning in &stats.warnings {
        let _ = writeln!(text, "note: {warning}");
    }
    text
}

fn classes(stats: &Stats) -> String {
    let mut rows = vec![["class", "train", "valid", "test"].map(str::to_owned).to_vec()];
    for class in &stats.classes {
        let images = class.images;
        let counts = [images.train, images.valid, images.test];
        let counts = counts.iter().map(ToString::to_string);
        rows.push(std::iter::once(class.name.clone()).chain(counts).collect());
    }
    table(&rows)
}

fn channels(channels: &ChannelMeanStd) -> String {
    let list = |values: [f64; 3]| values.map(|value| format!("{value:.4}")).join(",");
    format!("--mean {} --std {}", list(channels.mean), list(channels.std))
}

/// Most runs of epochs of a schedule that are shown.
const MOST_RUNS: usize = 6;

/// The first and the last run of epochs of each schedule, and some in between.
fn shown(policies: &[PolicyStats]) -> Vec<&PolicyStats> {
    let schedules = policies.chunk_by(|one, next| one.epochs.is_some() && one.policy == next.policy);
    let shown = schedules.flat_map(|runs| {
        let count = runs.len().min(MOST_RUNS);
        (0..count).map(move |place| &runs[place * (runs.len() - 1) / (count - 1).max(1)])
    });
    shown.collect()
}

/// A row for each policy, and one for each of its classes.
fn policies(policies: &[PolicyStats]) -> String {
    let heading = [
        "balance",
        "class",
        "draws",
        "per image",
        "seen",
        "steps",
        "all seen after",
    ];
    let mut rows = vec![heading.map(str::to_owned).to_vec()];
    for policy in shown(policies) {
        let epochs = match policy.epochs_to_cover {
            Some(1) => "1 epoch".to_owned(),
            Some(epochs) => format!("{epochs} epochs"),
            None => "never".to_owned(),
        };
        rows.push(vec![
            match policy.epochs {
                None => policy.policy.clone(),
                Some((first, last)) if first == last => format!("{}, epoch {first}", policy.policy),
                Some((first, last)) => format!("{}, epochs {first} to {last}", policy.policy),
            },
            "all".to_owned(),
            policy.images_per_epoch.to_string(),
            String::new(),
            format!("{:.1} %", policy.coverage * 100.0),
            policy.steps_per_epoch.to_string(),
            epochs,
        ]);
        for class in &policy.classes {
            let seen = class.seen.to_string();
            let draws = class.draws.to_string();
            rows.push(vec![
                String::new(),
                class.name.clone(),
                draws,
                per_image(class),
                seen,
            ]);
        }
    }
    table(&rows)
}

fn per_image(class: &ClassDraws) -> String {
    if class.least == class.most {
        class.least.to_string()
    } else {
        format!("{} or {}", class.least, class.most)
    }
}
