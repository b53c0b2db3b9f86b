//! What the command lines of server and client share.
//!
//! | module | holds |
//! |---|---|
//! | [`value`] | values of flags, refused with what is accepted |
//! | [`toml_flags`] | keys of a TOML file as the flags that they stand for |
//! | [`terminal`] | tables, progress bars and pictures in a terminal |
//! | [`files`] | files that are written whole or not at all |

pub mod files;
pub mod terminal;
pub mod toml_flags;
pub mod value;
