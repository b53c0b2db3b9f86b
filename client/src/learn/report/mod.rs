//! Results for people: tables in the terminal, pictures in files.

pub mod picture;
pub mod table;
