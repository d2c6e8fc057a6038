//! Runs the built binary as an operator does.

use std::fmt;
use std::io::{BufRead as _, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// How long a command may take that ends by itself.
const PATIENCE: Duration = Duration::from_mins(1);

/// An empty folder to run commands in, and what they find in their environment.
pub struct Cli {
    folder: TempDir,
    environment: Vec<(String, String)>,
}

impl Cli {
    /// Nothing in the folder, and no variable of cosell's in the environment.
    pub fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("cosell-cli.").tempdir().expect("a temporary folder");
        Self { folder, environment: Vec::new() }
    }

    /// Sets a variable for every command from now on.
    pub fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.environment.push((name.to_owned(), value.into()));
        self
    }

    /// Where the commands run.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a file for them; the path is relative to the folder.
    pub fn file(&self, path: &str, content: impl AsRef<[u8]>) -> &Self {
        std::fs::write(self.folder().join(path), content).expect("the folder can be written to");
        self
    }

    /// Runs a command to its end.
    pub fn run<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Output {
        self.start(arguments).output()
    }

    /// Starts a command that goes on until it is told to end, such as `serve`. Dropped, it is killed.
    pub fn start<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Running {
        self.start_with(arguments, [])
    }

    /// The same with further variables.
    pub fn start_with<'a>(
        &self,
        arguments: impl IntoIterator<Item = &'a str>,
        variables: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Running {
        let arguments: Vec<_> = arguments.into_iter().collect();
        let mut command = Command::new(env!("CARGO_BIN_EXE_cosell"));
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("COSELL_") {
                command.env_remove(name);
            }
        }
        command.args(&arguments).envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.envs(variables).current_dir(self.folder());
        Running::of(command, format!("cosell {}", arguments.join(" ")))
    }
}

/// One line of one stream, with its line end.
enum Said {
    Out(String),
    Err(String),
}

fn forward(stream: impl Read + Send + 'static, sender: std::sync::mpsc::Sender<Said>, made: fn(String) -> Said) {
    thread::spawn(move || {
        let mut stream = BufReader::new(stream);
        let mut line = Vec::new();
        while stream.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
            if sender.send(made(String::from_utf8_lossy(&line).into_owned())).is_err() {
                return;
            }
            line.clear();
        }
    });
}

/// A command that has not ended yet.
pub struct Running {
    command: String,
    child: Child,
    said: Receiver<Said>,
    output: Output,
}

impl Running {
    /// Starts any command; the name is for the texts of panics.
    pub fn of(mut command: Command, name: String) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|e| panic!("{command:?} did not start: {e}"));
        let (sender, said) = channel();
        let stdout = child.stdout.take().expect("standard output is piped");
        let stderr = child.stderr.take().expect("standard error is piped");
        forward(stdout, sender.clone(), Said::Out);
        forward(stderr, sender, Said::Err);
        Self { command: name, child, said, output: Output::default() }
    }

    /// What it has said until now, as far as it was waited for.
    pub fn said(&self) -> &Output {
        &self.output
    }

    /// The first line, on either stream, that contains this text; waits for it for a bounded time.
    pub fn line_with(&mut self, text: &str, limit: Duration) -> String {
        self.line_with_any(&[text], limit)
    }

    /// The first line that contains any of these texts.
    pub fn line_with_any(&mut self, texts: &[&str], limit: Duration) -> String {
        self.look_for(texts, limit).unwrap_or_else(|reason| {
            let ended = if reason == RecvTimeoutError::Timeout { "in time" } else { "before it ended" };
            panic!("`{}` did not say {texts:?} {ended}\n{}", self.command, self.output)
        })
    }

    /// The first line that contains this text, where it comes within that time.
    pub fn line_within(&mut self, text: &str, limit: Duration) -> Option<String> {
        self.look_for(&[text], limit).ok()
    }

    fn look_for(&mut self, texts: &[&str], limit: Duration) -> Result<String, RecvTimeoutError> {
        let until = Instant::now() + limit;
        loop {
            let said = self.said.recv_timeout(until.saturating_duration_since(Instant::now()))?;
            let line = self.output.add(said);
            if texts.iter().any(|text| line.contains(text)) {
                return Ok(line.trim_end().to_owned());
            }
        }
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends the signal that Ctrl-C sends.
    pub fn interrupt(&self) {
        self.signal("INT");
    }

    /// Sends any signal, such as `TERM` or `KILL`.
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status();
        assert!(status.is_ok_and(|status| status.success()), "`{}` takes no signal: it has ended", self.command);
    }

    /// Waits for a bounded time until it ends by itself.
    pub fn output(mut self) -> Output {
        let until = Instant::now() + PATIENCE;
        loop {
            match self.said.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(said) => drop(self.output.add(said)),
                // Both streams are closed.
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => panic!("`{}` did not end\n{}", self.command, self.output),
            }
        }
        self.output.code = self.child.wait().expect("a child that nobody waited for").code();
        std::mem::take(&mut self.output)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It fails where the command has ended, which is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a command said and how it ended.
#[derive(Clone, Debug, Default)]
pub struct Output {
    /// The exit code; none where a signal ended it.
    pub code: Option<i32>,
    /// All of standard output.
    pub stdout: String,
    /// All of standard error.
    pub stderr: String,
}

impl Output {
    fn add(&mut self, said: Said) -> String {
        match said {
            Said::Out(line) => {
                self.stdout.push_str(&line);
                line
            }
            Said::Err(line) => {
                self.stderr.push_str(&line);
                line
            }
        }
    }

    /// Standard output of a command that has succeeded, without white space around it.
    #[track_caller]
    pub fn ok(&self) -> &str {
        assert_eq!(self.code, Some(0), "the command failed\n{self}");
        self.stdout.trim()
    }

    /// Standard error of a command that has failed with this exit code.
    #[track_caller]
    pub fn failed(&self, code: i32) -> &str {
        assert_eq!(self.code, Some(code), "the command did not fail as it should\n{self}");
        self.stderr.trim()
    }
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let code = self.code.map_or_else(|| "none".to_owned(), |code| code.to_string());
        write!(f, "exit code: {code}\nstandard output:\n{}\nstandard error:\n{}", self.stdout, self.stderr)
    }
}
