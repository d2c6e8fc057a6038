//! `cosell backup`.

use std::{
    fs::File,
    io::ErrorKind,
    path::{Path, PathBuf},
};

use clap::Args;
use tempfile::{Builder, NamedTempFile};

use super::{Failure, Outcome, connect, count, say, serve::End};
use crate::{
    config::{Config, DatabaseUrl},
    store::backup::{self, Copied},
};

/// Copy an SQLite database into a file while the server runs
///
/// The copy is the database as it is at one moment, compact and in one file, whatever is written meanwhile; nobody waits
/// for it. It is written under another name, looked through (every page, index and reference), made safe from a power
/// cut, and then renamed, so that FILE is a whole backup or is not there. Only its owner may read it.
///
/// For PostgreSQL use pg_dump; the command says how.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:\n  \
    cosell backup /var/backups/cosell-$(date +%F).db\n  \
    COSELL_DATABASE_URL=sqlite:///var/lib/cosell/cosell.db cosell backup --force latest.db\n\n\
    To restore: stop the server; move its database away, and FILE-wal and FILE-shm beside it too; copy the backup to its \
    place; start the server.")]
pub(super) struct Backup {
    /// Where to; it must not be there yet
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Replace an earlier backup of that name
    #[arg(long)]
    force: bool,
}

pub(super) async fn run(command: &Backup, config: Config) -> Outcome {
    let url = &config.database.url;
    let name = command.file.display();
    let Some(database) = url.sqlite_file() else { return Err(for_postgres(url, &command.file)) };
    if !database.is_file() {
        return Err(Failure::new(format!("{url} is not there: there is nothing to copy.")));
    }
    refuse_wrong_place(command, &database)?;
    let folder = command.file.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let unwritable = |error| Failure::new(format!("{name} can't be written: {error}."));
    // Absolute, so that no name is taken for anything else than a file's.
    let folder = folder.canonicalize().map_err(unwritable)?;
    let partial =
        Builder::new().prefix(".cosell-backup-").suffix(".partial").tempfile_in(&folder).map_err(unwritable)?;

    let mut end = End::prepare()?;
    let copied = tokio::select! {
        copied = copy(&config, partial.path()) => copied?,
        // Nothing is left behind: the unfinished copy goes with its name.
        () = end.wait() => return Err(Failure::new("The backup was broken off; nothing is left of it.")),
    };
    partial.as_file().sync_all().map_err(unwritable)?;
    let size = partial.as_file().metadata().map_err(unwritable)?.len();
    keep(partial, command)?;
    File::open(&folder).and_then(|folder| folder.sync_all()).map_err(unwritable)?;
    say(format_args!(
        "{url} is in {name}: {size} bytes, {}, {}, schema {}; checked.",
        count(usize::try_from(copied.companies).unwrap_or_default(), "company", "companies"),
        count(usize::try_from(copied.events).unwrap_or_default(), "event", "events"),
        copied.schema
    ))
}

async fn copy(config: &Config, partial: &Path) -> Result<Copied, Failure> {
    let db = connect(config).await?;
    let copied = backup::copy(&db, partial).await;
    db.close().await;
    copied.map_err(|error| Failure::new(format!("{} can't be copied: {error}.", config.database.url)))?;
    let examined = backup::examine(partial).await;
    examined.map_err(|error| Failure::new(format!("The copy was thrown away, because it is not sound: {error}.")))
}

/// A backup must not take the place of a database, nor stand where the leftovers of one would be taken for its own.
fn refuse_wrong_place(command: &Backup, database: &Path) -> Outcome {
    let file = &command.file;
    let name = file.display();
    if file.is_dir() {
        return Err(Failure::usage(format!("{name} is a folder: name the file to write.")));
    }
    if let (Ok(one), Ok(other)) = (file.canonicalize(), database.canonicalize())
        && one == other
    {
        return Err(Failure::usage(format!("{name} is the database itself.")));
    }
    for ending in ["-wal", "-shm", "-journal"] {
        let mut beside = file.as_os_str().to_owned();
        beside.push(ending);
        if Path::new(&beside).exists() {
            let beside = Path::new(&beside).display();
            return Err(Failure::new(format!(
                "{beside} is there: a database is open at {name}, or was. Choose another name."
            )));
        }
    }
    if !command.force && file.symlink_metadata().is_ok() {
        return Err(there_already(file));
    }
    Ok(())
}

fn there_already(file: &Path) -> Failure {
    Failure::new(format!("{} is there already: choose another name, or replace it with --force.", file.display()))
}

/// Gives the finished copy its name.
fn keep(partial: NamedTempFile, command: &Backup) -> Outcome {
    let kept = if command.force { partial.persist(&command.file) } else { partial.persist_noclobber(&command.file) };
    match kept {
        Ok(_) => Ok(()),
        Err(failed) if failed.error.kind() == ErrorKind::AlreadyExists => Err(there_already(&command.file)),
        Err(failed) => Err(Failure::new(format!("{} can't be written: {}.", command.file.display(), failed.error))),
    }
}

fn for_postgres(url: &DatabaseUrl, file: &Path) -> Failure {
    Failure::usage(format!(
        "{url} is PostgreSQL, which has a better way: pg_dump --format=custom --file={} \"$COSELL_DATABASE_URL\" (and \
         pg_restore to restore it).",
        file.display()
    ))
}
