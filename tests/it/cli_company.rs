//! `cosell company` and `cosell migrate`, and what every command does with a bad configuration.

use cosell_migration::{Migrator, MigratorTrait as _};

use crate::support::cli::Cli;
use crate::support::postgres::fresh_schema;

#[test]
fn a_company_is_added_once_and_listed() {
    let cli = Cli::new();
    assert_eq!(cli.run(["company", "list"]).ok(), "");
    assert_eq!(
        cli.run(["company", "add", "acme", "--name", "Acme Corporation"]).ok(),
        "Added acme (Acme Corporation)."
    );
    assert_eq!(cli.run(["company", "add", "globex-2"]).ok(), "Added globex-2 (globex-2).");
    let again = cli.run(["company", "add", "acme"]);
    assert_eq!(again.failed(1), "error: There is a company acme already.");
    assert_eq!(again.stdout, "");
    assert_eq!(cli.run(["company", "list"]).ok(), "acme      Acme Corporation\nglobex-2  globex-2");
}

#[test]
fn a_bad_slug_or_name_is_refused() {
    let cli = Cli::new();
    for slug in ["A", "Acme", "a", "-acme", "ac me", "acme-"] {
        let output = cli.run(["company", "add", "--", slug]);
        assert!(output.failed(2).contains("2 to 50 lower-case letters"), "{output}");
    }
    let output = cli.run(["company", "add", "acme", "--name", "Ac\u{202e}me"]);
    assert!(output.failed(1).contains("control character"), "{output}");
    assert_eq!(cli.run(["company", "list"]).ok(), "");
}

#[test]
fn migrating_says_how_much_there_was_to_do() {
    let cli = Cli::new();
    let all = Migrator::migrations().len();
    assert_eq!(cli.run(["migrate"]).ok(), format!("sqlite://cosell.db is up to date: {all} migrations were run."));
    assert_eq!(cli.run(["migrate"]).ok(), "sqlite://cosell.db is up to date: 0 migrations were run.");
}

#[tokio::test]
async fn on_postgresql_no_command_but_migrate_changes_the_schema() {
    let cli = Cli::new()
        .env("COSELL_DATABASE_URL", fresh_schema().await)
        .env("COSELL_LISTEN", "127.0.0.1:0")
        .env("COSELL_JWT_SECRET", "a secret of the tests, long enough for HS256");
    for output in [cli.run(["serve"]), cli.run(["company", "list"])] {
        assert!(output.failed(1).contains("Run `cosell migrate` first."), "{output}");
    }
    assert!(cli.run(["migrate"]).ok().ends_with("migrations were run."));
    assert_eq!(cli.run(["company", "list"]).ok(), "");
}

#[test]
fn a_bad_configuration_is_told_whole_and_ends_with_2() {
    let cli = Cli::new().env("COSELL_LISTEN", "nowhere").env("COSELL_DATABASE_URL", "mysql://localhost/x");
    for output in [cli.run(["company", "list"]), cli.run(["serve"]), cli.run(["demo"])] {
        let said = output.failed(2);
        assert!(said.contains("COSELL_LISTEN") && said.contains("COSELL_DATABASE_URL"), "{output}");
    }
    let output = Cli::new().run(["--config", "none.toml", "migrate"]);
    assert!(output.failed(2).contains("none.toml"), "{output}");
}

#[test]
fn a_database_that_can_not_be_opened_is_named_without_its_password() {
    let cli = Cli::new().env("COSELL_DATABASE_URL", "postgres://ann:sesame@127.0.0.1:1/x");
    let cli = cli.env("COSELL_DATABASE_ACQUIRE_TIMEOUT", "200ms");
    let output = cli.run(["migrate"]);
    let said = output.failed(1);
    assert!(said.contains("127.0.0.1:1/x") && !said.contains("sesame"), "{output}");
    assert_eq!(said.lines().count(), 1, "{output}");
    let output = Cli::new().env("COSELL_DATABASE_URL", "sqlite://no/such/folder/x.db").run(["company", "list"]);
    assert!(output.failed(1).contains("no/such/folder/x.db can't be opened"), "{output}");
}

#[test]
fn wrong_usage_ends_with_2_and_help_with_0() {
    let cli = Cli::new();
    cli.run(["nonsense"]).failed(2);
    cli.run(["company", "add"]).failed(2);
    for command in ["serve", "demo", "migrate", "token", "import", "schema"] {
        assert!(cli.run([command, "--help"]).ok().contains("Example"), "{command}");
    }
    assert!(cli.run(["--version"]).ok().starts_with("cosell "));
}
