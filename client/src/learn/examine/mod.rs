//! A trained model looked at closely: judged once more, the images that it was most wrong about kept with where it looked.
//!
//! # Layout
//!
//! - [`Examiner`]: does it.
//! - [`Worst`]: the images of largest loss among all that pass by.
//! - [`mod@overlay`]: where the model looked, over the image.
//! - [`Examination`]: the figures and the worst images, as they are kept in a run's folder.

mod examiner;
mod overlay;
mod store;
mod worst;

pub use examiner::{Error, Examiner};
pub use overlay::overlay;
pub use store::{Examination, Failure};
pub use worst::{Kept, Worst};
