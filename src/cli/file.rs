//! Files that are read and written: bounded in size, and never half there.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::error::CommandError;
use super::exit::Exit;
use crate::inventory::{Inventory, InventoryError};
use crate::model::{Digest, FormatError};
use crate::plan::settings::SettingsError;
use crate::plan::{Plan, PlanFileError, Settings};

const MIB: u64 = 1 << 20;

/// A plan of some thousand units has some 20 MiB.
pub(crate) const MOST_OF_A_PLAN: u64 = 64 * MIB;
/// An inventory of a hundred clusters with a thousand pods each has some 100 MiB.
pub(crate) const MOST_OF_AN_INVENTORY: u64 = 512 * MIB;
/// Settings are written by hand.
const MOST_OF_SETTINGS: u64 = MIB;
/// The settings that are read where no others are named.
const SETTINGS: &str = "irsa-migrate.toml";
/// Settings are read before anything else happens.
const NOTHING_DONE: &str = "nothing was done; put it right and run the same again";

/// A file's bytes, if there are no more than `most`.
pub(crate) fn read(path: &Path, what: &str, most: u64) -> Result<Vec<u8>, CommandError> {
    let shown = path.display();
    let fail = |error: &io::Error| {
        let failed = CommandError::usage(format!("{what} {shown} cannot be read: {error}"));
        let denied = error.kind() == io::ErrorKind::PermissionDenied;
        failed.hint(if denied { "may this user read it?" } else { "is the path right?" })
    };
    let file = File::open(path).map_err(|error| fail(&error))?;
    let mut bytes = Vec::new();
    // One byte more than allowed tells a file that is too long from one that just fits.
    file.take(most + 1).read_to_end(&mut bytes).map_err(|error| fail(&error))?;
    if bytes.len() as u64 > most {
        let mib = most / MIB;
        return Err(
            CommandError::usage(format!("{what} {shown} has more than {mib} MiB")).hint("is it the right file?")
        );
    }
    Ok(bytes)
}

/// A file that a result will be written to. It is looked at before the work whose result it is.
#[derive(Debug)]
pub(crate) struct OutFile {
    /// As the user named it.
    named: PathBuf,
    /// Where it is: the file itself is replaced, and not a link to it.
    path: PathBuf,
}

impl OutFile {
    /// A file that can be made or replaced. Only a regular file is: a pipe or a device in its place would be gone.
    pub(crate) fn at(named: &Path) -> Result<Self, CommandError> {
        let shown = named.display();
        let path = match std::fs::metadata(named) {
            Ok(found) if found.is_file() => std::fs::canonicalize(named),
            Ok(_) => {
                return Err(CommandError::usage(format!("{shown} cannot be written: it is not a regular file"))
                    .hint("name a file that is there or can be made; `-o json` prints to stdout"));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound && named.is_symlink() => {
                return Err(CommandError::usage(format!("{shown} cannot be written: it is a link to nothing"))
                    .hint("name the file itself"));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(named.to_owned()),
            Err(error) => Err(error),
        };
        let file = Self { named: named.to_owned(), path: path.map_err(|error| cannot_be_written(named, &error))? };
        let beside = file.beside();
        create(&beside).and_then(|_| std::fs::remove_file(&beside)).map_err(|error| file.fail(&error))?;
        Ok(file)
    }

    /// Whether it is this file, which would be overwritten.
    pub(crate) fn is(&self, other: &Path) -> bool {
        std::fs::canonicalize(other).is_ok_and(|it| it == self.path)
    }

    /// Writes it for the user's eyes alone, whole or not at all.
    pub(crate) fn write(&self, bytes: &[u8]) -> Result<(), CommandError> {
        let beside = self.beside();
        let written = create(&beside).and_then(|mut file| {
            file.write_all(bytes)?;
            file.sync_all()?;
            std::fs::rename(&beside, &self.path)
        });
        written.map_err(|error| {
            // What is half written helps nobody; that it cannot be removed changes nothing.
            let _ = std::fs::remove_file(&beside);
            self.fail(&error)
        })
    }

    /// Where it is written before it is whole.
    fn beside(&self) -> PathBuf {
        let mut beside = self.path.as_os_str().to_owned();
        beside.push(format!(".{}.part", std::process::id()));
        PathBuf::from(beside)
    }

    fn fail(&self, error: &io::Error) -> CommandError {
        cannot_be_written(&self.named, error)
    }
}

/// Makes a folder for results, unless it is there.
pub(crate) fn folder(path: &Path) -> Result<(), CommandError> {
    std::fs::create_dir_all(path).map_err(|error| {
        CommandError::usage(format!("the folder {} cannot be made: {error}", path.display()))
            .hint("is there a file of that name on the way, and may this user write there?")
    })
}

impl fmt::Display for OutFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.named.display().fmt(f)
    }
}

fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)
}

fn cannot_be_written(path: &Path, error: &io::Error) -> CommandError {
    let is = |kinds: &[io::ErrorKind]| kinds.contains(&error.kind());
    let hint = if is(&[io::ErrorKind::PermissionDenied, io::ErrorKind::ReadOnlyFilesystem]) {
        "may this user write there?"
    } else if is(&[io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded]) {
        "is there room on the disk?"
    } else {
        "is there a folder of that name?"
    };
    CommandError::usage(format!("{} cannot be written: {error}", path.display())).hint(hint)
}

/// A plan with its bytes, which are what a digest is of.
pub(crate) struct PlanFile {
    pub(crate) bytes: Vec<u8>,
    pub(crate) plan: Plan,
    pub(crate) digest: Digest,
}

/// Reads a plan. Whether it may be carried out is another question.
pub(crate) fn plan(path: &Path) -> Result<PlanFile, CommandError> {
    let bytes = read(path, "the plan", MOST_OF_A_PLAN)?;
    plan_of(bytes).map_err(|error| at(path, error))
}

/// A plan from its bytes.
pub(crate) fn plan_of(bytes: Vec<u8>) -> Result<PlanFile, CommandError> {
    let plan = Plan::from_bytes(&bytes).map_err(|error| match error {
        PlanFileError::Malformed(_) if is_printed(&bytes) => {
            CommandError::usage("this is not a plan, but what `plan -o json` prints of one")
                .hint("`irsa-migrate plan --out FILE` writes the plan itself, which is what the digest is of")
        }
        PlanFileError::Malformed(error) => malformed("plan", &error),
        PlanFileError::Format(error) => wrong_format(&error),
    })?;
    Ok(PlanFile { digest: Digest::of(&bytes), bytes, plan })
}

/// Whether it is what `plan -o json` prints: a plan in an object, beside its digest.
fn is_printed(bytes: &[u8]) -> bool {
    let printed = serde_json::from_slice(bytes).unwrap_or(serde_json::Value::Null);
    printed["digest"].is_string() && printed["plan"].is_object()
}

/// Reads an inventory.
pub(crate) fn inventory(path: &Path) -> Result<Inventory, CommandError> {
    let bytes = read(path, "the inventory", MOST_OF_AN_INVENTORY)?;
    inventory_of(&bytes).map_err(|error| at(path, error))
}

/// An inventory from its bytes.
pub(crate) fn inventory_of(bytes: &[u8]) -> Result<Inventory, CommandError> {
    Inventory::from_bytes(bytes).map_err(|error| match error {
        InventoryError::Malformed(error) => malformed("inventory", &error),
        InventoryError::Format(error) => wrong_format(&error),
    })
}

/// Reads the settings: the file that is named, else `irsa-migrate.toml` if it is there, else none.
pub(crate) fn settings(named: Option<&Path>) -> Result<(Settings, Option<PathBuf>), CommandError> {
    let path = match named {
        Some(path) => path,
        None if Path::new(SETTINGS).exists() => Path::new(SETTINGS),
        None => return Ok((Settings::default(), None)),
    };
    let bytes = read(path, "the settings", MOST_OF_SETTINGS)?;
    let shown = path.display();
    let text = String::from_utf8(bytes).map_err(|_| {
        CommandError::usage(format!("the settings {shown} are not text")).hint("they are TOML, in UTF-8")
    })?;
    let settings = Settings::parse(&text).map_err(|error| match error {
        SettingsError::Toml(error) => {
            let line = error.span().map(|it| format!(" in line {}", line_of(&text, it.start))).unwrap_or_default();
            let hint = if error.message().starts_with("unknown field") {
                "an unknown key is an error, so that a misspelt one is not taken for none"
            } else {
                NOTHING_DONE
            };
            CommandError::usage(format!("the settings {shown} cannot be used{line}: {}", error.message())).hint(hint)
        }
        SettingsError::Window(_) | SettingsError::Value(_) => {
            CommandError::usage(format!("the settings {shown} cannot be used: {error}")).hint(NOTHING_DONE)
        }
    })?;
    Ok((settings, Some(path.to_owned())))
}

/// The line of a text that a place in it lies on, the first being 1.
fn line_of(text: &str, place: usize) -> usize {
    text.bytes().take(place).filter(|it| *it == b'\n').count() + 1
}

fn at(path: &Path, error: CommandError) -> CommandError {
    CommandError { message: format!("{}: {}", path.display(), error.message), ..error }
}

fn malformed(what: &str, error: &serde_json::Error) -> CommandError {
    use serde_json::error::Category;
    let hint = match error.classify() {
        Category::Eof => "the file is cut off: make it again",
        Category::Syntax => "the file is not JSON: was it changed by hand, or is it another file?",
        Category::Data => "the file was changed by hand, or is another file",
        Category::Io => "the file cannot be read",
    };
    CommandError::new(Exit::Usage, format!("this is not {} {what}: {error}", article(what))).hint(hint)
}

fn article(what: &str) -> &'static str {
    if what.starts_with('i') { "an" } else { "a" }
}

fn wrong_format(error: &FormatError) -> CommandError {
    let hint = match error {
        FormatError::WrongKind { .. } => "`irsa-migrate show FILE` shows either",
        FormatError::Newer { .. } => "it was made by a newer irsa-migrate: use that one, or make the file again",
    };
    CommandError::usage(error.to_string()).hint(hint)
}
