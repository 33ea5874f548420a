//! The programs that the suite runs, as `tests/e2e/prepare` built them.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;

/// The folder that `prepare` filled: `bin/`, `stages.yaml`, `python/`.
#[derive(Debug)]
pub(crate) struct Tools {
    root: PathBuf,
}

impl Tools {
    /// Runs `prepare`, which returns at once when everything is there, and
    /// remembers the folder for the life of the test binary.
    pub(crate) fn get() -> &'static Tools {
        static TOOLS: LazyLock<Tools> = LazyLock::new(|| {
            let prepare = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e/prepare");
            let output = Command::new(&prepare).stderr(Stdio::inherit()).output().expect("tests/e2e/prepare starts");
            assert!(output.status.success(), "tests/e2e/prepare failed; what it said stands above");
            let root = String::from_utf8(output.stdout).expect("a path in UTF-8");
            Tools { root: PathBuf::from(root.trim()) }
        });
        &TOOLS
    }

    /// A server of the control plane: `etcd`, `kube-apiserver`, ...
    pub(crate) fn server(&self, name: &str) -> PathBuf {
        self.root.join("bin").join(name)
    }

    /// A program of the Python environment: `ministack`, `moto_server`.
    pub(crate) fn python(&self, name: &str) -> PathBuf {
        self.root.join("python/bin").join(name)
    }

    /// What kwok does to nodes and pods, as the kwok module ships it.
    pub(crate) fn stages(&self) -> String {
        std::fs::read_to_string(self.root.join("stages.yaml")).expect("stages.yaml beside the binaries")
    }
}
