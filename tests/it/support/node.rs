//! The npm projects of this repository, installed and run outside of the source tree.
//!
//! A project is installed once into a folder under cargo's target folder, by its lock file; a test works on a copy of
//! the sources beside a link to what was installed. What runs there reaches nothing but this machine
//! (`tests/clients/offline.mjs`).

use std::collections::hash_map::DefaultHasher;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::hash::{Hash as _, Hasher as _};
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use serde_json::Value;
use tempfile::TempDir;
use tokio::task::spawn_blocking;

use super::cli::{Output, Running};

/// How many checks of HTTP the audit in the version of the lock file holds.
pub const AUDITS: usize = 61;

/// What is never copied: it is made anew, or installed.
const MADE: [&str; 4] = ["node_modules", "dist", "generated", ".gitignore"];

/// A copy of an npm project, ready to run.
pub struct Project {
    folder: TempDir,
    path: &'static str,
}

impl Project {
    /// A copy of the project at this path of the repository. `schema.graphql` lies beside it where it lies in the
    /// repository.
    pub fn of(path: &'static str) -> Self {
        let installed = install(path);
        let folder = tempfile::Builder::new().prefix("npm.").tempdir_in(target()).expect("a folder in cargo's own");
        let project = Self { folder, path };
        copy(&root().join(path), &project.path());
        fs::copy(root().join("schema.graphql"), project.folder.path().join("schema.graphql")).expect("the schema");
        std::os::unix::fs::symlink(installed.join("node_modules"), project.path().join("node_modules"))
            .expect("a link to what was installed");
        project
    }

    /// Where it lies.
    pub fn path(&self) -> PathBuf {
        self.folder.path().join(self.path)
    }

    /// Writes a file of it.
    pub fn write(&self, path: &str, text: &str) {
        fs::write(self.path().join(path), text).expect("the folder can be written to");
    }

    /// Reads a file of it.
    #[track_caller]
    pub fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path().join(path)).unwrap_or_else(|fault| panic!("{path}: {fault}"))
    }

    /// Runs one of the installed tools, or `node`, in a folder of the project, to its end.
    pub fn run(&self, folder: &str, tool: &str, arguments: &[&str]) -> Output {
        self.start(folder, tool, arguments).output()
    }

    /// Starts one of them.
    pub fn start(&self, folder: &str, tool: &str, arguments: &[&str]) -> Running {
        let program = match tool {
            "node" | "npm" => PathBuf::from(tool),
            tool => self.path().join("node_modules/.bin").join(tool),
        };
        let mut command = Command::new(program);
        command.args(arguments).current_dir(self.path().join(folder)).env_remove("TOKEN");
        command.env("NODE_OPTIONS", format!("--import file://{}/tests/clients/offline.mjs", root().display()));
        command.env("NO_COLOR", "1").env("CI", "1").env_remove("FORCE_COLOR");
        Running::of(command, format!("{tool} {}", arguments.join(" ")))
    }
}

/// The project of the tools that clients are built with, and whatever it runs while this thread goes on to serve what
/// they ask for.
pub struct Tools(Arc<Project>);

impl Deref for Tools {
    type Target = Project;

    fn deref(&self) -> &Project {
        &self.0
    }
}

impl Tools {
    /// Installs them.
    pub async fn install() -> Self {
        Self(Arc::new(spawn_blocking(|| Project::of("tests/clients")).await.expect("it is installed")))
    }

    /// Runs one of them to its end.
    pub async fn run(&self, tool: &'static str, arguments: &[&str]) -> Output {
        self.run_in("", tool, arguments).await
    }

    /// Runs one of them in a folder of the project.
    pub async fn run_in(&self, folder: &'static str, tool: &'static str, arguments: &[&str]) -> Output {
        let project = Arc::clone(&self.0);
        let arguments: Vec<String> = arguments.iter().map(|&text| text.to_owned()).collect();
        let running = spawn_blocking(move || {
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            project.run(folder, tool, &arguments)
        });
        running.await.expect("it runs")
    }

    /// Holds the audit of GraphQL over HTTP against what listens there, and says which checks failed.
    pub async fn audit(&self, url: &str, token: &str) -> Vec<Value> {
        let said = self.run("node", &["audit.mjs", url, token]).await;
        let report: Vec<Value> = serde_json::from_str(said.ok()).expect("a report");
        assert_eq!(report.len(), AUDITS, "the audit has another number of checks than it had");
        report.into_iter().filter(|audit| audit["status"] != "ok").collect()
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn target() -> &'static Path {
    Path::new(env!("CARGO_TARGET_TMPDIR"))
}

/// Installs what the project's lock file says, once for all tests, and says where.
fn install(path: &str) -> PathBuf {
    assert!(
        Command::new("npm").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok(),
        "there is no npm: scripts/test installs Node, and runs the tests"
    );
    let manifests = ["package.json", "package-lock.json"].map(|file| root().join(path).join(file));
    let mut hasher = DefaultHasher::new();
    for file in &manifests {
        fs::read(file).unwrap_or_else(|fault| panic!("{}: {fault}", file.display())).hash(&mut hasher);
    }
    let all = target().join("npm");
    fs::create_dir_all(&all).expect("a folder in cargo's own");
    let name = path.replace('/', "-");
    let folder = all.join(format!("{name}-{:016x}", hasher.finish()));
    // Held until it is there: other tests wait, those of other processes too.
    let lock = File::create(all.join(format!("{name}.lock"))).expect("a lock file");
    lock.lock().expect("the lock");
    let done = folder.join("installed");
    if done.exists() {
        return folder;
    }
    // Those of older lock files, and one that broke off.
    for old in fs::read_dir(&all).expect("the folder").flatten() {
        if old.file_name().to_string_lossy().starts_with(&format!("{name}-")) {
            let _ = fs::remove_dir_all(old.path());
        }
    }
    fs::create_dir_all(&folder).expect("a folder in cargo's own");
    for file in &manifests {
        fs::copy(file, folder.join(file.file_name().expect("a file"))).expect("a copy");
    }
    let said = Command::new("npm")
        .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline", "--loglevel=error"])
        .current_dir(&folder)
        .output()
        .expect("npm runs");
    assert!(
        said.status.success(),
        "npm could not install what {path}/package-lock.json lists, for which it asks its registry:\n{}",
        String::from_utf8_lossy(&said.stderr)
    );
    File::create(done).expect("a mark");
    folder
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).unwrap_or_else(|fault| panic!("{}: {fault}", from.display())).flatten() {
        let name = entry.file_name();
        if MADE.iter().any(|made| OsStr::new(made) == name) {
            continue;
        }
        if entry.file_type().expect("a type").is_dir() {
            copy(&entry.path(), &to.join(name));
        } else {
            fs::copy(entry.path(), to.join(name)).expect("a copy");
        }
    }
}
