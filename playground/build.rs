//! Makes the playground's bundle with Node and npm, or says why there is none.
//!
//! Nothing of it is committed, and a build without Node or without a network goes on: the server then has a page that
//! says what is missing.

use std::{
    env,
    ffi::OsString,
    fmt::Write as _,
    fs, io,
    path::{Path, PathBuf},
    process::Command,
};

/// A folder with a bundle that was made before: `node build.mjs DIR`.
const READY_MADE: &str = "COSELL_PLAYGROUND_BUNDLE";
/// What the bundle is made of.
const SOURCES: [&str; 4] = ["build.mjs", "package.json", "package-lock.json", "src"];
/// The oldest Node that works.
const OLDEST_NODE: u32 = 18;
/// What the bundler lists its files in.
const LIST: &str = "files.tsv";

/// Why there is no bundle.
struct Missing {
    /// For whoever builds, and for whoever opens the page.
    reason: String,
    /// Whether it is due to a program that may be installed later.
    program: bool,
}

fn main() {
    let made = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    println!("cargo:rerun-if-env-changed={READY_MADE}");
    println!("cargo:rerun-if-changed=build.rs");
    for source in SOURCES {
        println!("cargo:rerun-if-changed=web/{source}");
    }
    let bundle = match env::var_os(READY_MADE).filter(|folder| !folder.is_empty()) {
        // Whoever names a folder means it: a fault in it ends the build.
        Some(folder) => {
            println!("cargo:rerun-if-changed={}", Path::new(&folder).join(LIST).display());
            Ok(PathBuf::from(folder))
        }
        None => bundle(&made),
    };
    let table = match bundle {
        Ok(folder) => table(&folder).unwrap_or_else(|error| panic!("the bundle in {}: {error}", folder.display())),
        Err(missing) => {
            println!("cargo:warning=cosell is built without its playground: {}", missing.reason.replace('\n', " "));
            if missing.program {
                // Built anew once it may be there.
                println!("cargo:rerun-if-env-changed=PATH");
                for folder in env::split_paths(&env::var_os("PATH").unwrap_or_default()).filter(|it| it.is_dir()) {
                    println!("cargo:rerun-if-changed={}", folder.display());
                }
            }
            let mut table = String::from("/// The files.\npub const FILES: &[File] = &[];\n");
            let _ = writeln!(
                table,
                "/// Why there are none.\npub const MISSING: Option<&str> = Some({:?});",
                missing.reason
            );
            table
        }
    };
    fs::write(made.join("files.rs"), table).expect("OUT_DIR can be written to");
}

/// Makes the bundle in a folder of its own.
fn bundle(made: &Path) -> Result<PathBuf, Missing> {
    if env::var_os("DOCS_RS").is_some() {
        return Err(failed("the documentation is built without it"));
    }
    let node = version("node").ok_or_else(|| absent("Node"))?;
    if node < OLDEST_NODE {
        let reason = format!("Node is version {node}, and {OLDEST_NODE} or newer is needed.");
        return Err(Missing { reason, program: true });
    }
    version(NPM).ok_or_else(|| absent("npm"))?;
    let (web, out) = (made.join("web"), made.join("bundle"));
    let outcome = copy(&web).map_err(|error| failed(&format!("its sources can't be copied: {error}"))).and_then(|()| {
        // Scripts of packages are not run: the bundler's program comes as a package of its own.
        let mut arguments = vec!["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline"];
        // Without a network it is said soon.
        arguments.extend(["--fetch-retries=1", "--fetch-retry-mintimeout=1000", "--loglevel=error"]);
        run(&web, NPM, arguments.into_iter().map(OsString::from))?;
        run(&web, "node", [OsString::from("build.mjs"), out.clone().into_os_string()])
    });
    // A quarter of a gigabyte that nothing needs any more.
    let _ = fs::remove_dir_all(&web);
    outcome.map(|()| out)
}

#[cfg(windows)]
const NPM: &str = "npm.cmd";
#[cfg(not(windows))]
const NPM: &str = "npm";

fn absent(program: &str) -> Missing {
    Missing { reason: format!("{program} was not found when it was built."), program: true }
}

fn failed(reason: &str) -> Missing {
    Missing { reason: reason.to_owned(), program: false }
}

/// The major version of a program, where it is there.
fn version(program: &str) -> Option<u32> {
    let output = Command::new(program).arg("--version").output().ok().filter(|output| output.status.success())?;
    let text = String::from_utf8(output.stdout).ok()?;
    text.trim().trim_start_matches('v').split('.').next()?.parse().ok()
}

fn run(folder: &Path, program: &str, arguments: impl IntoIterator<Item = OsString>) -> Result<(), Missing> {
    let arguments: Vec<_> = arguments.into_iter().collect();
    let name = format!("`{program} {}`", arguments.first().map(|it| it.to_string_lossy()).unwrap_or_default());
    let output = Command::new(program)
        .args(arguments)
        .current_dir(folder)
        .output()
        .map_err(|error| failed(&format!("{name} did not start: {error}.")))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    // The first lines say what it was; where the rest lies concerns this machine alone.
    let told = |line: &&str| !line.trim().is_empty() && !line.contains("complete log");
    let said: Vec<_> = said.lines().filter(told).take(5).collect();
    Err(failed(&format!("{name} failed, for want of a network perhaps.\n{}", said.join("\n"))))
}

/// Copies the sources: packages are not installed among them.
fn copy(web: &Path) -> io::Result<()> {
    if web.exists() {
        fs::remove_dir_all(web)?;
    }
    fs::create_dir_all(web)?;
    for source in SOURCES {
        copy_all(&Path::new("web").join(source), &web.join(source))?;
    }
    Ok(())
}

fn copy_all(from: &Path, to: &Path) -> io::Result<()> {
    if !from.is_dir() {
        return fs::copy(from, to).map(|_| ());
    }
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        copy_all(&entry.path(), &to.join(entry.file_name()))?;
    }
    Ok(())
}

/// The table of the files, as Rust.
#[allow(clippy::unnecessary_debug_formatting, reason = "a name within quotes is what Rust reads")]
fn table(bundle: &Path) -> io::Result<String> {
    let wrong = |line: &str| io::Error::new(io::ErrorKind::InvalidData, format!("{LIST}: {line:?} is not understood"));
    let bundle = bundle.canonicalize()?;
    let mut table = String::from("/// The files.\npub const FILES: &[File] = &[\n");
    let mut page = false;
    for line in fs::read_to_string(bundle.join(LIST))?.lines() {
        let [path, kind, hash] = line.split('\t').collect::<Vec<_>>()[..] else { return Err(wrong(line)) };
        let file = bundle.join(path);
        let brotli = bundle.join(format!("{path}.br"));
        file.metadata()?;
        page |= path == "index.html";
        let _ = writeln!(
            table,
            "    File {{ path: {path:?}, content_type: {kind:?}, sha256: {hash:?}, content: include_bytes!({file:?}), \
             brotli: {} }},",
            if brotli.exists() { format!("Some(include_bytes!({brotli:?}))") } else { "None".to_owned() }
        );
    }
    if !page {
        return Err(wrong("without index.html"));
    }
    table.push_str("];\n/// Why there are none.\npub const MISSING: Option<&str> = None;\n");
    Ok(table)
}
