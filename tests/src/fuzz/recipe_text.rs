use equibatch_engine::augment::Recipe;

/// The text form of a recipe: an accepted recipe is printed as text that parses to the same recipe.
///
/// # Panics
///
/// If it is not.
pub fn recipe_text(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let Ok(recipe) = text.parse::<Recipe>() else {
        return;
    };
    let printed = recipe.to_string();
    let read = printed.parse::<Recipe>();
    assert_eq!(read.as_ref(), Ok(&recipe), "{text:?} prints as {printed:?}");
}
