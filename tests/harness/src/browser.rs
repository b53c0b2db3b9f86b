//! Pages in headless Chromium, if it is installed.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

use crate::process::output;

/// The script that inspects a page; it writes its result into an element of the page.
const PROBE: &str = include_str!("probe.js");
/// The text before and after the result.
const MARKS: [&str; 2] = ["[probe:", ":probe]"];

/// A browser.
#[derive(Debug)]
pub struct Browser {
    program: PathBuf,
}

/// A rendered page.
#[derive(Debug)]
pub struct Shown {
    /// The result of `probe.js`.
    pub found: Value,
    /// Messages of the browser's console.
    pub console: Vec<String>,
}

/// The preferred colour scheme.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// Dark on light.
    Light,
    /// Light on dark.
    Dark,
}

impl Browser {
    /// The browser that `CHROMIUM` names, or the first of the usual names in `PATH`.
    #[must_use]
    pub fn find() -> Option<Self> {
        let named = env::var_os("CHROMIUM").map(PathBuf::from);
        let folders: Vec<PathBuf> = env::split_paths(&env::var_os("PATH").unwrap_or_default()).collect();
        let usual = ["chromium", "chromium-browser", "google-chrome"];
        let in_path = usual
            .iter()
            .flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
        let program = named.into_iter().chain(in_path).find(|path| path.is_file())?;
        Some(Self { program })
    }

    /// Renders a page and inspects it.
    ///
    /// # Panics
    ///
    /// If the browser cannot be run, or the probe gives no result.
    #[must_use]
    pub fn show(&self, page: &Path, scheme: Scheme, folder: &Path) -> Shown {
        let text = fs::read_to_string(page).expect("a page");
        let probed = folder.join("probed.html");
        fs::write(
            &probed,
            text.replace("</body>", &format!("<script>{PROBE}</script></body>")),
        )
        .expect("written");
        let mut command = self.command(scheme, folder);
        command
            .args(["--dump-dom", "--enable-logging=stderr"])
            .arg(format!("file://{}", probed.display()));
        let output = output(&mut command);
        let dom = String::from_utf8_lossy(&output.stdout);
        let errors = String::from_utf8_lossy(&output.stderr);
        // The last occurrence: the probe's own source is on the page, too.
        let answer = dom
            .rsplit_once(MARKS[0])
            .and_then(|(_, rest)| rest.split_once(MARKS[1]));
        let (answer, _) = answer.unwrap_or_else(|| panic!("no answer from {}:\n{errors}", page.display()));
        Shown {
            found: serde_json::from_str(&percent_decoded(answer)).expect("JSON"),
            console: errors
                .lines()
                .filter(|line| line.contains("CONSOLE"))
                .map(str::to_owned)
                .collect(),
        }
    }

    /// The bytes of the page as a PDF file.
    ///
    /// # Panics
    ///
    /// If the browser cannot be run, or writes nothing.
    #[must_use]
    pub fn print(&self, page: &Path, folder: &Path) -> Vec<u8> {
        let pdf = folder.join("printed.pdf");
        let mut command = self.command(Scheme::Light, folder);
        command
            .arg("--no-pdf-header-footer")
            .arg(format!("--print-to-pdf={}", pdf.display()))
            .arg(format!("file://{}", page.display()));
        let output = output(&mut command);
        assert!(output.status.success(), "{output:?}");
        fs::read(pdf).expect("a PDF file")
    }

    fn command(&self, scheme: Scheme, folder: &Path) -> Command {
        let mut command = Command::new(&self.program);
        let profile = folder.join("profile");
        command.args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--window-size=1200,900",
        ]);
        command.arg(format!("--user-data-dir={}", profile.display()));
        command.arg(match scheme {
            Scheme::Light => "--blink-settings=preferredColorScheme=1",
            Scheme::Dark => "--blink-settings=preferredColorScheme=0",
        });
        command
    }
}

/// Undoes JavaScript's `encodeURIComponent`.
fn percent_decoded(text: &str) -> String {
    let mut bytes = vec![];
    let mut rest = text.as_bytes();
    while let Some((&first, behind)) = rest.split_first() {
        let code = behind
            .get(..2)
            .and_then(|digits| std::str::from_utf8(digits).ok());
        match code.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) if first == b'%' => {
                bytes.push(byte);
                rest = &behind[2..];
            }
            _ => {
                bytes.push(first);
                rest = behind;
            }
        }
    }
    String::from_utf8(bytes).expect("text")
}
