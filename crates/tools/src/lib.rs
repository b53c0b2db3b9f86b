//! Image folders for people: download them, check them, count and draw what is in them.
//!
//! | module | holds |
//! |---|---|
//! | [`download`] | lists of addresses to images in class folders |
//! | [`verify`] | what is wrong with the files of a folder, and mending it |
//! | [`stats`], [`channel_stats`] | classes, sizes and balance of a folder; mean and standard deviation of its channels |
//! | [`preview`], [`contact_sheet`] | batches and augmentations as pictures; labelled pictures in rows |
//! | [`sample_data`] | drawn images to try things out with |

pub mod channel_stats;
pub mod contact_sheet;
pub mod download;
pub mod preview;
pub mod sample_data;
pub mod stats;
pub mod verify;
