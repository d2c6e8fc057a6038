//! `cosell company`.

use clap::{Args, Subcommand};

use super::{Outcome, Teller, connect_current, say, system_clock};
use crate::{config::Config, domain::company::is_slug};

/// Add and list companies, which are the tenants
#[derive(Debug, Args)]
pub(super) struct Companies {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Register a company, with its default templates
    ///
    /// Its people are recorded when their tokens, which name the company by its slug, are first seen.
    #[command(after_long_help = "Example:\n  cosell company add acme --name \"Acme Corporation\"")]
    Add {
        /// Its name in tokens: 2 to 50 lower-case letters, digits and hyphens
        #[arg(value_parser = slug)]
        slug: String,
        /// Its name for people; the slug when left out
        #[arg(long)]
        name: Option<String>,
    },
    /// List the companies: slug and name
    #[command(after_long_help = "Example:\n  cosell company list")]
    List,
}

pub(super) async fn run(companies: &Companies, config: Config) -> Outcome {
    let teller = Teller::new(connect_current(&config).await?, system_clock(), &config).await?;
    let service = &teller.service;
    let outcome = match &companies.command {
        Command::Add { slug, name } => match service.add_company(slug, name.as_deref()).await {
            Ok(company) => say(format_args!("Added {} ({}).", company.slug, company.name)),
            Err(error) => Err(error.into()),
        },
        Command::List => {
            let companies = service.companies().await?;
            let width = companies.iter().map(|company| company.slug.len()).max().unwrap_or(0);
            companies.iter().try_for_each(|company| say(format_args!("{:width$}  {}", company.slug, company.name)))
        }
    };
    teller.close().await;
    outcome
}

/// Reads a company's slug from the command line.
pub(super) fn slug(text: &str) -> Result<String, String> {
    if is_slug(text) {
        return Ok(text.to_owned());
    }
    Err("a slug has 2 to 50 lower-case letters, digits and hyphens, with no hyphen at either end".to_owned())
}
