//! `--check-config`.

use std::{io::Write, path::Path};

use super::{Failure, Outcome, environment, say, system_clock};
use crate::{
    config::{self, ConfigFaults, Effective, Examined},
    server,
};

/// Says all that can be said of the configuration without starting anything. What a server needs besides what every
/// command does is looked at only for a server.
pub(super) fn run(file: Option<&Path>, serves: bool) -> Outcome {
    let Examined { config, warnings, effective } = config::examine(file, environment());
    for warning in &warnings {
        let _ = writeln!(std::io::stderr(), "warning: {warning}");
    }
    let config = config?;
    if serves {
        server::check(&config, system_clock()).map_err(|faults| Failure::from(with_origins(faults, &effective)))?;
    }
    say("# The configuration is sound. In force, without secrets:")?;
    for setting in effective {
        match setting.value {
            Some(value) => say(format_args!("{} = {value}  # {}", setting.key, setting.origin))?,
            None => say(format_args!("# {} is unset", setting.key))?,
        }
    }
    Ok(())
}

/// A fault that names a setting names instead where its value came from.
fn with_origins(ConfigFaults(faults): ConfigFaults, effective: &[Effective]) -> ConfigFaults {
    let place = |fault: String| {
        let of =
            effective.iter().find_map(|setting| Some((setting, fault.strip_prefix(setting.key)?.strip_prefix(": ")?)));
        match of {
            Some((setting, rest)) if !setting.is_default() => format!("{}: {rest}", setting.origin),
            _ => fault,
        }
    };
    ConfigFaults(faults.into_iter().map(place).collect())
}
