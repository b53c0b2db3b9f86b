//! A training run: its [configuration](RunConfig), and its folder with `config.json`, `metrics.jsonl`, `checkpoint.safetensors`,
//! `model.onnx`.

mod config;
mod error;
mod folder;
mod frozen;
mod head_fit;
mod head_steps;

#[cfg(test)]
pub(crate) use self::config::tests::config as sample;
pub use self::{
    config::{Lineage, RunConfig},
    error::Error,
    folder::RunFolder,
    frozen::{All, Frozen, expression},
    head_fit::HeadFit,
    head_steps::HeadSteps,
};
