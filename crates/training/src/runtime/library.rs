//! Locates the ONNX Runtime shared library.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::{Device, Error};

/// Directory of a library that is installed for a project, relative to the project's.
const PROJECT: &str = ".runtime/onnxruntime/capi";

/// Prints the folder of the active Python's `onnxruntime` package without importing it.
const PYTHON_QUERY: &str = "import importlib.util as u; s = u.find_spec('onnxruntime'); \
                            print(s.submodule_search_locations[0] if s and s.submodule_search_locations else '')";

/// Search path of the library, in order of precedence.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Search {
    /// Value of `ORT_DYLIB_PATH`. If set, nothing else is searched.
    pub explicit: Option<PathBuf>,
    /// Directories to search.
    pub folders: Vec<PathBuf>,
    /// Whether to query `python3` for its `onnxruntime` package if no directory has the library.
    pub ask_python: bool,
}

impl Search {
    /// The search path from the environment: `ORT_DYLIB_PATH`, the directory of the executable, `.runtime/onnxruntime/capi` in it, in the
    /// working directory and in all directories above them, `VIRTUAL_ENV`, the Python environment that the executable was installed into, and
    /// `python3` on `PATH`.
    #[must_use]
    pub fn from_environment() -> Self {
        let explicit = env::var_os("ORT_DYLIB_PATH")
            .filter(|path| !path.is_empty())
            .map(PathBuf::from);
        let executable = env::current_exe()
            .ok()
            .and_then(|path| path.parent().map(Path::to_path_buf));
        let working = env::current_dir().ok();
        let mut folders: Vec<PathBuf> = executable.iter().cloned().collect();
        for start in executable.iter().chain(&working) {
            folders.extend(start.ancestors().map(|folder| folder.join(PROJECT)));
        }
        // pip puts the executable into `bin` of its environment.
        let installed = executable.as_deref().and_then(Path::parent);
        let roots = env::var_os("VIRTUAL_ENV").map(PathBuf::from).into_iter();
        for root in roots.chain(installed.map(Path::to_path_buf)) {
            folders.extend(site_packages(&root).map(|folder| folder.join("onnxruntime/capi")));
        }
        Self {
            explicit,
            folders,
            ask_python: true,
        }
    }

    /// Returns the library's path. Errors say how to install the library for `device`.
    ///
    /// # Errors
    ///
    /// [`Error::LibraryPathWrong`] if `ORT_DYLIB_PATH` is not a file, [`Error::LibraryNotFound`] if no library is found.
    pub fn locate(&self, device: Device) -> Result<PathBuf, Error> {
        if let Some(path) = &self.explicit {
            return if path.is_file() {
                Ok(path.clone())
            } else {
                Err(Error::LibraryPathWrong {
                    path: path.clone(),
                    device,
                })
            };
        }
        self.folders
            .iter()
            .find_map(|folder| library_in(folder))
            .or_else(|| {
                if self.ask_python {
                    python_package().and_then(|folder| library_in(&folder.join("capi")))
                } else {
                    None
                }
            })
            .ok_or_else(|| Error::LibraryNotFound {
                searched: self.describe(),
                device,
            })
    }

    fn describe(&self) -> String {
        let python = if self.ask_python {
            ", the active Python's site-packages"
        } else {
            ""
        };
        format!(
            "ORT_DYLIB_PATH, the directory of the executable, {PROJECT} there, in the working directory and above{python}"
        )
    }
}

/// The newest library in a directory. File names in wheels contain the version (`libonnxruntime.so.1.31.1`), others may not.
fn library_in(folder: &Path) -> Option<PathBuf> {
    let files = fs::read_dir(folder).ok()?.filter_map(Result::ok);
    files
        .filter_map(|entry| Some((entry.file_name().into_string().ok()?, entry.path())))
        .filter(|(name, path)| is_library_name(name) && path.is_file())
        .max_by_key(|(name, _)| version(name))
        .map(|(_, path)| path)
}

/// The version in a file name as numbers, such as `[1, 31, 1]`, so that 1.31 is newer than 1.9. Empty if there is none.
fn version(name: &str) -> Vec<u64> {
    name.split('.').filter_map(|part| part.parse().ok()).collect()
}

fn is_library_name(name: &str) -> bool {
    let linux = name == "libonnxruntime.so" || name.starts_with("libonnxruntime.so.");
    let mac =
        name == "libonnxruntime.dylib" || name.starts_with("libonnxruntime.") && name.ends_with(".dylib");
    linux || mac || name == "onnxruntime.dll"
}

/// The `site-packages` folders of a virtual environment.
fn site_packages(root: &Path) -> impl Iterator<Item = PathBuf> {
    let versions = fs::read_dir(root.join("lib"))
        .into_iter()
        .flatten()
        .filter_map(Result::ok);
    versions
        .map(|entry| entry.path().join("site-packages"))
        .chain([root.join("Lib/site-packages")])
        .filter(|folder| folder.is_dir())
}

fn python_package() -> Option<PathBuf> {
    let output = Command::new("python3")
        .args(["-c", PYTHON_QUERY])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let folder = String::from_utf8(output.stdout).ok()?;
    let folder = folder.trim();
    (output.status.success() && !folder.is_empty()).then(|| PathBuf::from(folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder_with(names: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for name in names {
            fs::write(folder.path().join(name), b"").expect("a file in it");
        }
        folder
    }

    #[test]
    fn an_explicit_path_has_precedence() {
        let explicit = folder_with(&["mine.so"]);
        let other = folder_with(&["libonnxruntime.so.1.31.1"]);
        let search = Search {
            explicit: Some(explicit.path().join("mine.so")),
            folders: vec![other.path().to_path_buf()],
            ask_python: false,
        };
        assert_eq!(
            search.locate(Device::Cpu).expect("found"),
            explicit.path().join("mine.so")
        );
    }

    #[test]
    fn a_missing_explicit_path_is_an_error_without_fallback() {
        let other = folder_with(&["libonnxruntime.so.1.31.1"]);
        let search = Search {
            explicit: Some(other.path().join("missing.so")),
            folders: vec![other.path().to_path_buf()],
            ask_python: false,
        };
        let message = search.locate(Device::Cpu).expect_err("missing").to_string();
        assert!(
            message.contains("missing.so, which ORT_DYLIB_PATH names"),
            "{message}"
        );
        assert!(message.contains("pip install onnxruntime"), "{message}");
    }

    #[test]
    fn directories_are_searched_in_order_and_other_libraries_ignored() {
        let providers = folder_with(&["libonnxruntime_providers_shared.so", "notes.txt"]);
        let first = folder_with(&["libonnxruntime.so.1.31.1", "libonnxruntime_providers_shared.so"]);
        let second = folder_with(&["libonnxruntime.so"]);
        let folders = [&providers, &first, &second]
            .map(|folder| folder.path().to_path_buf())
            .to_vec();
        let search = Search {
            explicit: None,
            folders,
            ask_python: false,
        };
        assert_eq!(
            search.locate(Device::Cpu).expect("found"),
            first.path().join("libonnxruntime.so.1.31.1")
        );
    }

    #[test]
    fn the_newest_of_several_libraries_is_taken() {
        let linux = folder_with(&[
            "libonnxruntime.so",
            "libonnxruntime.so.1.9.0",
            "libonnxruntime.so.1.31.1",
            "libonnxruntime.so.1.4",
        ]);
        let newest = library_in(linux.path()).expect("found");
        assert_eq!(newest, linux.path().join("libonnxruntime.so.1.31.1"));
        let mac = folder_with(&["libonnxruntime.1.9.0.dylib", "libonnxruntime.1.31.1.dylib"]);
        let newest = library_in(mac.path()).expect("found");
        assert_eq!(newest, mac.path().join("libonnxruntime.1.31.1.dylib"));
    }

    #[test]
    fn a_missing_library_is_a_one_line_error_with_an_install_hint() {
        let cuda = Device::Cuda { index: 0 };
        for (device, hints) in [
            (
                Device::Cpu,
                ["set ORT_DYLIB_PATH", "pip install onnxruntime==1.31.1"],
            ),
            (
                cuda,
                ["pip install onnxruntime-gpu==1.31.1", "ORT_DYLIB_PATH to its"],
            ),
        ] {
            let error = Search::default().locate(device).expect_err("nothing to find");
            let message = error.to_string();
            assert_eq!(message.lines().count(), 1);
            assert!(hints.iter().all(|hint| message.contains(hint)), "{message}");
        }
    }

    #[test]
    fn site_packages_of_a_virtual_environment_are_searched() {
        let root = tempfile::tempdir().expect("a temporary folder");
        let capi = root.path().join("lib/python3.11/site-packages/onnxruntime/capi");
        fs::create_dir_all(&capi).expect("folders");
        let found: Vec<_> = site_packages(root.path()).collect();
        assert_eq!(found, [root.path().join("lib/python3.11/site-packages")]);
    }
}
