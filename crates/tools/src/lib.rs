//! Tools for image folders: download, verify, summarise, render and generate data sets.
//!
//! | module | holds |
//! |---|---|
//! | [`download`] | URL lists to images in class folders |
//! | [`verify`] | broken, misnamed, duplicate and leaking images; deletes, moves or converts them |
//! | [`stats`], [`channel_stats`] | class counts, sizes and balance policies; channel mean and standard deviation |
//! | [`preview`], [`contact_sheet`] | rendered batches and augmentations; grids of labelled images |
//! | [`sample_data`] | synthetic data sets |

pub mod channel_stats;
pub mod contact_sheet;
pub mod download;
pub mod preview;
pub mod sample_data;
pub mod stats;
pub mod verify;
