use proptest::prelude::*;

use super::super::{Augment, CropRange, Magnitude, Recipe, ZoomRange};
use super::*;

fn read(text: &str) -> Recipe {
    text.parse().unwrap_or_else(|error| panic!("{text:?}: {error}"))
}

fn refused(text: &str) -> String {
    match text.parse::<Recipe>() {
        Ok(recipe) => panic!("{text:?} was read as {recipe}"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn the_default_and_no_augmentation_are_presets() {
    assert_eq!(read("fastai"), Recipe::reference());
    assert_eq!(read("none"), Recipe::none());
    assert_eq!(read("  "), Recipe::none());
    assert_eq!(Recipe::none().to_string(), "none");
}

#[test]
fn presets_are_parsed_and_must_come_first() {
    for preset in PRESETS {
        assert_eq!(read(preset.name), read(preset.text), "{}", preset.name);
        assert!(!preset.about.is_empty());
    }
    let recipe = read("fastai rotate(10) flip(0) p_affine=0.5 augment=repeats");
    assert_eq!(recipe.rotate, Magnitude { max: 10.0, p: 0.5 });
    assert_eq!(recipe.warp, Magnitude { max: 0.2, p: 0.5 });
    assert_eq!(recipe.brightness, Magnitude { max: 0.2, p: 0.75 });
    assert_eq!((recipe.flip, recipe.augment), (0.0, Augment::Repeats));
    assert!(refused("flip fastai").contains("fastai must be the first"));
}

#[test]
fn values_are_given_in_order_or_by_name() {
    assert_eq!(read("rotate(30, 0.5)"), read("rotate(p=0.5,degrees=30)"));
    assert_eq!(
        read("zoom(1.5,min=0.8)").zoom,
        ZoomRange {
            min: 0.8,
            max: 1.5,
            p: 0.75
        }
    );
    assert_eq!(read("crop").crop, CropRange::ANYWHERE);
    assert_eq!(read("zoom focus(1,1,0,0.5)").focus.column_max, 0.5);
    assert_eq!(
        read("focus(1,1) flip"),
        read("flip"),
        "focus has no effect without zoom"
    );
    assert_eq!(read("lighting(0.3)"), read("brightness(0.3) contrast(0.3)"));
}

#[test]
fn a_printed_recipe_names_every_number() {
    assert_eq!(
        Recipe::reference().to_string(),
        "flip(p=0.5) rotate(degrees=25,p=0.75) zoom(max=1.1,min=1,p=0.75) warp(magnitude=0.2,p=0.75) lighting(change=0.2,p=0.75) \
         crop(row_min=0,row_max=1,column_min=0,column_max=1)"
    );
    assert_eq!(
        read("flip augment=repeats").to_string(),
        "flip(p=0.5) augment=repeats"
    );
}

/// Hashes of requests are made of printed recipes.
#[test]
fn where_mixed_images_come_from_is_printed_only_if_it_is_given() {
    for (text, printed) in [
        ("mixup", "mixup(alpha=0.4,p=1)"),
        ("cutmix(from=balance)", "cutmix(alpha=1,p=1)"),
        ("cutmix(1,from=natural)", "cutmix(alpha=1,p=1,from=natural)"),
        ("mixup(0.2,0.5,natural)", "mixup(alpha=0.2,p=0.5,from=natural)"),
        (
            "mixup(from=natural) cutmix(from=natural)",
            "mixup(alpha=0.4,p=1,from=natural) cutmix(alpha=1,p=1,from=natural)",
        ),
        ("mixup cutmix(p=0,from=natural)", "mixup(alpha=0.4,p=1)"),
        ("cutmix(p=0,from=natural) augment=repeats", "none"),
    ] {
        assert_eq!(read(text).to_string(), printed, "{text}");
    }
    assert!(read("cutmix(from=natural)").mixes_from_natural());
    assert!(!read("cutmix").mixes_from_natural());
}

#[test]
fn errors_name_the_value_and_what_is_accepted() {
    for (text, words) in [
        ("spin(3)", &["spin", "rotate", "fastai", "p_affine="][..]),
        ("rotate(181)", &["rotate(degrees)", "181", "0..=180"]),
        ("rotate(nan)", &["rotate(degrees)", "NaN"]),
        ("rotate(x)", &["rotate(degrees)", "\"x\"", "a number"]),
        ("rotate(angle=3)", &["rotate", "\"angle\"", "degrees, p"]),
        ("rotate(1,2,3)", &["rotate", "3 values", "2"]),
        ("rotate(3,degrees=4)", &["rotate(degrees) twice"]),
        ("flip flip", &["flip twice"]),
        ("p_affine=1 p_affine=1", &["p_affine twice"]),
        ("p_affine=2", &["p_affine", "2", "0..=1"]),
        ("augment=some", &["augment", "\"some\"", "all or repeats"]),
        ("speed=2", &["speed"]),
        ("zoom(max=0.5)", &["zoom", "min is 1", "max 0.5"]),
        ("crop(0.6,0.4)", &["crop", "row_min is 0.6", "row_max 0.4"]),
        ("crop resized_crop", &["resized_crop", "crop", "one of them"]),
        (
            "mixup(from=uniform)",
            &["mixup(from)", "\"uniform\"", "balance or natural"],
        ),
        ("cutmix(1,1,0)", &["cutmix(from)", "\"0\"", "balance or natural"]),
        ("cutmix(from=natural,from=natural)", &["cutmix(from) twice"]),
        ("erase(from=natural)", &["erase", "\"from\"", "holes"]),
        (
            "mixup cutmix(from=natural)",
            &["mixup(from=balance)", "cutmix(from=natural)", "one of them"],
        ),
        (
            "mixup(from=natural) cutmix",
            &["mixup(from=natural)", "cutmix(from=balance)", "one of them"],
        ),
        (
            "mixup(from=natural) augment=repeats",
            &["from=natural", "augment=repeats", "one of them"],
        ),
        ("randaugment(2.5)", &["randaugment(n)", "2.5", "whole"]),
        ("randaugment(m=31)", &["randaugment(m)", "31", "0..=30"]),
        (
            "resized_crop(ratio_max=0.5)",
            &["ratio_min is 0.75", "ratio_max 0.5"],
        ),
        ("rotate(25", &["rotate(25"]),
        ("rotate(,)", &["rotate(,)"]),
        ("flip)", &["flip)"]),
        ("flip,rotate", &["flip,rotate"]),
        ("none(1)", &["none"]),
        (&"flip ".repeat(2000), &["10000", "4096"]),
    ] {
        let message = refused(text);
        for word in words {
            assert!(message.contains(word), "{text}: {message}");
        }
    }
}

#[test]
fn names_are_unique() {
    let mut names: Vec<&str> = PARTS.iter().map(|part| part.name).collect();
    names.extend(PRESETS.iter().map(|preset| preset.name));
    names.sort_unstable();
    assert!(names.is_sorted_by(|a, b| a < b), "{names:?}");
}

/// Any valid recipe: each part is disabled or has parameters within their ranges.
fn recipes() -> impl Strategy<Value = Recipe> {
    let numbers: Vec<_> = PARTS
        .iter()
        .map(|part| (any::<bool>(), vec![0.0f32..=1.0; part.parameters.len()]))
        .collect();
    (numbers, any::<bool>()).prop_filter_map("a range is reversed", |(parts, repeats)| {
        let mut recipe = Recipe::none();
        for (part, (_, fractions)) in PARTS.iter().zip(parts).filter(|(_, (is_on, _))| *is_on) {
            for (parameter, fraction) in part.parameters.iter().zip(fractions) {
                let value = parameter.low + (parameter.high - parameter.low) * fraction;
                let value = if parameter.is_whole { value.round() } else { value };
                (parameter.set)(&mut recipe, value.clamp(parameter.low, parameter.high));
            }
        }
        if repeats {
            recipe.augment = Augment::Repeats;
        }
        recipe.validate().is_ok().then(|| recipe.normalized())
    })
}

proptest! {
    #[test]
    fn parsing_a_printed_recipe_gives_it_back(recipe in recipes()) {
        let text = recipe.to_string();
        prop_assert_eq!(text.parse::<Recipe>(), Ok(recipe), "{}", text);
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in "[a-z_(),=0-9. -]{0,60}") {
        let _result_is_irrelevant = text.parse::<Recipe>();
    }
}
