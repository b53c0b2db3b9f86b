//! Image folders for people: download them, check them, count and draw what is in them.
//!
//! | module | holds |
//! |---|---|
//! | [`download`] | lists of addresses to images in class folders |
//! | [`verify`] | what is wrong with the files of a folder, and mending it |
//! | [`stats`], [`moments`] | classes, sizes and balance of a folder; mean and standard deviation of its channels |
//! | [`preview`], [`sheet`] | batches and augmentations as pictures; labelled pictures in rows |
//! | [`sample_data`] | drawn images to try things out with |

pub mod download;
pub mod moments;
pub mod preview;
pub mod sample_data;
pub mod sheet;
pub mod stats;
pub mod verify;
