//! One PostgreSQL cluster for the whole test binary, and a schema of its own for every test.
//!
//! The cluster is made in a temporary folder from the installed binaries and reached over a Unix socket in that
//! folder, so that no port can be taken by another. A shell holds it: when this process ends, however it ends, the
//! shell's standard input closes, and the shell stops PostgreSQL and removes the folder.
//!
//! `COSELL_TEST_POSTGRES_URL` names a running cluster to use instead; its schemas called `cosell_test_…` are left
//! there to be looked at.

use std::env;
use std::io::{BufRead as _, BufReader};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{self, Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};
use url::Url;

/// The oldest version the server supports.
const OLDEST: u32 = 15;

/// Makes the cluster in a new folder, says `ready FOLDER`, and holds it until its standard input closes.
const HOLD: &str = r#"
set -eu
umask 077
folder=$(mktemp -d "${TMPDIR:-/tmp}/cosell-postgres.XXXXXX" 2>/dev/null || mktemp -d /tmp/cosell-postgres.XXXXXX)
end() {
    "$1/pg_ctl" --pgdata="$folder/data" --mode=immediate stop >/dev/null 2>&1 || true
    rm -rf "$folder"
}
trap 'end "$1"' EXIT
trap 'exit 1' HUP INT TERM
# Saying `ready` to a process that has gone is a failure like any other, and leads to the end above.
trap '' PIPE
make() {
    "$1/initdb" --pgdata="$folder/data" --username=cosell --auth=trust --encoding=UTF8 --no-sync "$2"
}
if ! make "$1" --locale=C.UTF-8 >"$folder/log" 2>&1 && ! make "$1" --no-locale >"$folder/log" 2>&1; then
    cat "$folder/log"
    exit 1
fi
options="-k $folder -c listen_addresses= -c max_connections=300 -c fsync=off -c full_page_writes=off"
options="$options -c synchronous_commit=off -c timezone=UTC"
if ! "$1/pg_ctl" --pgdata="$folder/data" --log="$folder/log" --wait --timeout=120 --options="$options" start </dev/null >/dev/null 2>&1
then
    cat "$folder/log"
    exit 1
fi
echo "ready $folder"
cat >/dev/null
"#;

struct Cluster {
    /// Of its database for maintenance, without a search path.
    url: Url,
    /// Never read: as long as it lives, its standard input is open and the cluster runs.
    _holder: Option<Child>,
}

/// The URL of a schema that no other test uses; every connection made with it works in that schema.
///
/// The database is shared: what PostgreSQL keeps per database and not per schema (advisory locks, the channels of
/// NOTIFY) is seen by the tests that run at the same time.
pub async fn fresh_schema() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    // Starting the cluster takes seconds and blocks: it is kept off the runtime's threads.
    let cluster_url = tokio::task::spawn_blocking(|| cluster().url.clone()).await.expect("the cluster started");
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock past 1970");
    let schema =
        format!("cosell_test_{}_{}_{}", since_epoch.as_millis(), process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let mut connection = PgConnection::connect(cluster_url.as_str()).await.expect("the cluster takes connections");
    connection.execute(AssertSqlSafe(format!("CREATE SCHEMA {schema}"))).await.expect("a schema of that name is free");
    connection.close().await.expect("the connection closes");

    let mut url = cluster_url;
    // As libpq writes it, so that psql takes the same URL.
    url.query_pairs_mut().append_pair("options", &format!("-csearch_path={schema}"));
    url.into()
}

fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| match env::var("COSELL_TEST_POSTGRES_URL") {
        Ok(url) => Cluster { url: url.parse().expect("COSELL_TEST_POSTGRES_URL is a URL"), _holder: None },
        Err(_) => start(),
    })
}

fn start() -> Cluster {
    let binaries = newest_binaries().unwrap_or_else(|| {
        panic!(
            "The tests need PostgreSQL {OLDEST} or later: initdb, postgres and pg_ctl in PATH or under \
             /usr/lib/postgresql. `scripts/test` installs it; by hand: apt-get install postgresql. To use a running \
             cluster, set COSELL_TEST_POSTGRES_URL."
        )
    });
    let mut command = as_a_user_that_postgres_accepts();
    command.args(["sh", "-c", HOLD, "cosell-test-postgres"]).arg(&binaries);
    // A group of its own: Ctrl-C in the terminal ends the tests, and the closing pipe then ends the cluster in order.
    command.process_group(0).current_dir("/").stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut holder = command.spawn().unwrap_or_else(|e| panic!("{command:?} did not start: {e}"));

    let mut said = String::new();
    let mut lines = BufReader::new(holder.stdout.take().expect("standard output is piped")).lines();
    let folder = loop {
        match lines.next() {
            Some(Ok(line)) => match line.strip_prefix("ready ") {
                Some(folder) => break folder.to_owned(),
                None => said = said + &line + "\n",
            },
            _ => panic!("PostgreSQL of {} did not start:\n{said}", binaries.display()),
        }
    };
    let mut url: Url = "postgres://cosell@localhost/postgres".parse().expect("a constant URL");
    url.query_pairs_mut().append_pair("host", &folder);
    Cluster { url, _holder: Some(holder) }
}

/// PostgreSQL refuses to run as root; its Debian package brings a user to run it as.
fn as_a_user_that_postgres_accepts() -> Command {
    if said_by(Command::new("id").arg("-u")).as_deref() != Some("0") {
        return Command::new("env");
    }
    if Command::new("setpriv").arg("--version").output().is_ok() {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=postgres", "--regid=postgres", "--init-groups"]);
        command
    } else {
        let mut command = Command::new("runuser");
        command.args(["-u", "postgres", "--"]);
        command
    }
}

fn newest_binaries() -> Option<PathBuf> {
    let in_path = env::var_os("PATH").map(|path| env::split_paths(&path).collect::<Vec<_>>()).unwrap_or_default();
    let packaged = Path::new("/usr/lib/postgresql")
        .read_dir()
        .into_iter()
        .flatten()
        .filter_map(|version| Some(version.ok()?.path().join("bin")));
    in_path
        .into_iter()
        .chain(packaged)
        .filter(|folder| ["initdb", "postgres", "pg_ctl"].iter().all(|binary| folder.join(binary).is_file()))
        .filter_map(|folder| Some((major_version(&folder.join("postgres"))?, folder)))
        .filter(|(version, _)| *version >= OLDEST)
        .max_by_key(|(version, _)| *version)
        .map(|(_, folder)| folder)
}

/// Of "postgres (PostgreSQL) 15.8 (Debian 15.8-0+deb12u1)" it is 15.
fn major_version(postgres: &Path) -> Option<u32> {
    let said = said_by(Command::new(postgres).arg("--version"))?;
    said.split_whitespace().nth(2)?.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

fn said_by(command: &mut Command) -> Option<String> {
    let output = command.output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
